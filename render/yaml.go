package render

import (
	"bytes"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// YAML writes the objects as documents of one file, keys sorted, each begun by
// "---". No Secret is ever among them.
func YAML(objects []*unstructured.Unstructured) ([]byte, error) {
	var b bytes.Buffer
	for _, o := range objects {
		document, err := yaml.Marshal(o.Object)
		if err != nil {
			return nil, fmt.Errorf("write %s/%s: %w", o.GetKind(), o.GetName(), err)
		}
		b.WriteString("---\n")
		b.Write(document)
	}
	return b.Bytes(), nil
}
