package render

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/resid"

	"bayplan.dev/schema"
)

// panicking stands for a parser that can't take its input.
type panicking struct{ filesys.FileSystem }

func (panicking) ReadFile(string) ([]byte, error) { panic("odd input") }

func TestBuildSurvivesPanic(t *testing.T) {
	files := filesys.MakeFsInMemory()
	if err := files.WriteFile(kustomizationFile, []byte("resources: []\n")); err != nil {
		t.Fatal(err)
	}
	_, err := build(panicking{files})
	if err == nil || err.Error() != "kustomize can't process it: odd input" {
		t.Errorf("got error %v", err)
	}
	// The turn was given back.
	if _, err := (overlay{labels: []labels{{}}}).kustomize([]object{sampleNamespace()}); err != nil {
		t.Errorf("the next build: %v", err)
	}
}

func sampleNamespace() object {
	fleet := sample(schema.Overlay{})
	return builder{platform: &fleet.Platform.Spec, space: fleet.Spaces.Get(sampleID())}.namespace()
}

// TestKustomizeConforms gives all objects to kustomize, which has to leave
// them as they are: what the renderer writes is what kustomize reads.
func TestKustomizeConforms(t *testing.T) {
	fleet := sample(schema.Overlay{})
	base, err := builder{platform: &fleet.Platform.Spec, space: fleet.Spaces.Get(sampleID())}.build()
	if err != nil {
		t.Fatal(err)
	}
	everything := overlay{patches: []patch{{Patch: "[{\"op\": \"test\", \"path\": \"/kind\", \"value\": \"Deployment\"}]", Target: &types.Selector{ResId: resid.NewResId(resid.Gvk{Kind: "Deployment"}, "")}}}, labels: []labels{{Pairs: map[string]string{}}}}
	got, err := everything.kustomize(base)
	if err != nil {
		t.Fatal(err)
	}
	order(got)
	if diff := cmp.Diff(base, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("a build without changes (-before +after):\n%s", diff)
	}
}

// FuzzOverlay never panics, and what has no findings renders.
func FuzzOverlay(f *testing.F) {
	f.Add([]byte("patches:\n  - target: {kind: Deployment}\n    patch: |\n      - {op: add, path: /spec/template/spec/priorityClassName, value: a}\n"))
	f.Add([]byte("labels:\n  - pairs: {a: b}\nimages: [{name: registry.example/sample, newTag: '2'}]\n"))
	f.Add([]byte("openapi: {path: a}\nresources: [b]\n"))
	f.Fuzz(func(t *testing.T, kustomization []byte) {
		o := schema.Overlay{Files: map[string][]byte{kustomizationFile: kustomization}}
		if findings := CheckOverlay(o); len(findings) > 0 {
			for _, finding := range findings {
				if finding.Text() == "" || finding.Message == "" {
					t.Errorf("empty finding %+v", finding)
				}
			}
			return
		}
		fleet := sample(o)
		if _, err := New().Space(fleet, sampleID()); err != nil {
			t.Errorf("no findings, but %v", err)
		}
	})
}
