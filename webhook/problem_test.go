package webhook

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"bayplan.dev/schema"
)

func TestProblems(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want Problem
	}{
		"invalid":     {schema.Errorf(schema.Invalid, "bad"), Problem{Status: 422, Code: "invalid", Detail: "bad"}},
		"not found":   {schema.Errorf(schema.NotFound, "no"), Problem{Status: 404, Code: "not_found", Detail: "no"}},
		"conflict":    {schema.Errorf(schema.Conflict, "late"), Problem{Status: 409, Code: "conflict", Detail: "late"}},
		"forbidden":   {schema.Errorf(schema.Forbidden, "no"), Problem{Status: 403, Code: "forbidden", Detail: "no"}},
		"exceeded":    {schema.Errorf(schema.Exceeded, "3 of 3"), Problem{Status: 403, Code: "quota_exceeded", Detail: "3 of 3"}},
		"unavailable": {schema.Errorf(schema.Unavailable, "down"), Problem{Status: 503, Code: "unavailable", Detail: "down", retryAfter: 1}},
		"internal":    {schema.Errorf(schema.Internal, "secret"), Problem{Status: 500, Code: "internal", Detail: detailInternal}},
		"unknown":     {errors.New("secret"), Problem{Status: 500, Code: "internal", Detail: detailInternal}},
		"wrapped": {
			fmt.Errorf("read: %w", schema.Errorf(schema.NotFound, "no")),
			Problem{Status: 404, Code: "not_found", Detail: "read: no"},
		},
		"problem": {
			fmt.Errorf("read: %w", newProblem(413, codeTooLarge, "big")),
			Problem{Status: 413, Code: "too_large", Detail: "big"},
		},
	} {
		test.want.Type, test.want.Title = "/docs#"+test.want.Code, http.StatusText(test.want.Status)
		if diff := cmp.Diff(&test.want, problemOf(test.err), cmp.AllowUnexported(Problem{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

type findingsError struct {
	error
	findings schema.Findings
}

func (f findingsError) Findings() schema.Findings { return f.findings }

func (f findingsError) Unwrap() error { return f.error }

func TestProblemHasAllFindings(t *testing.T) {
	err := findingsError{schema.Errorf(schema.Invalid, "2 findings"), schema.Findings{
		{Position: schema.Position{File: "a.yaml", Line: 3, Column: 5}, Path: "spec.ports[0].name", Message: "bad", Help: "mend it"},
		{Position: schema.Position{File: "b.yaml"}, Message: "empty"},
	}}
	want := []Detail{
		{File: "a.yaml", Line: 3, Column: 5, Pointer: "/spec/ports/0/name", Message: "bad", Hint: "mend it"},
		{File: "b.yaml", Message: "empty"},
	}
	got := problemOf(fmt.Errorf("write: %w", err))
	if diff := cmp.Diff(want, got.Errors); got.Status != http.StatusUnprocessableEntity || diff != "" {
		t.Errorf("%d (-want +got):\n%s", got.Status, diff)
	}
}

func TestPointer(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "spec": "/spec", "spec.env[12].valueFrom": "/spec/env/12/valueFrom", "metadata.a/b~c": "/metadata/a~1b~0c",
	} {
		if got := pointer(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
