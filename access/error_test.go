package access

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kschema "k8s.io/apimachinery/pkg/runtime/schema"

	"bayplan.dev/schema"
)

func TestParseUnstarted(t *testing.T) {
	const failed = `error executing command in container: failed to exec in container: failed to start exec "0f6c7d": OCI runtime exec failed: `
	for text, want := range map[string]*unstarted{
		failed + `exec failed: unable to start container process: exec: "bash": executable file not found in $PATH: unknown`:       {"bash", "executable file not found in $PATH"},
		failed + `exec failed: unable to start container process: exec: "/bin/x": stat /bin/x: no such file or directory: unknown`: {"/bin/x", "no such file or directory"},
		failed + `exec failed: unable to start container process: exec: "/etc/passwd": permission denied: unknown`:                 {"/etc/passwd", "permission denied"},
		failed + `exec failed: unable to start container process: exec /x: exec format error: unknown`:                             {"/x", "exec format error"},
		"error executing command in container: exec failed: executable file `sh` not found in $PATH: No such file or directory":    {"sh", "not found"},
		`executing processes for container: starting sub-container: error finding executable "sh" in PATH [/bin]: no such file`:    {"sh", "in PATH"},
		`failed to load /bin/x: no such file or directory`:                                                                         {"/bin/x", "no such file or directory"},
		`container not found ("web")`: nil,
		"":                            nil,
	} {
		if diff := cmp.Diff(want, parseUnstarted(text), cmp.AllowUnexported(unstarted{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestWrap(t *testing.T) {
	a, id := &Access{}, schema.ContainerID{Space: schema.SpaceID{User: "alice", Name: "web"}, Name: "web"}
	pods := kschema.GroupResource{Resource: "pods"}
	for name, test := range map[string]struct {
		err  error
		want schema.Code
	}{
		"ours":                  {schema.Errorf(schema.Exceeded, "x"), schema.Exceeded},
		"the Pod is gone":       {apierrors.NewNotFound(pods, "web"), schema.Conflict},
		"the container is gone": {errors.New(`unable to upgrade connection: container not found ("web")`), schema.Conflict},
		"it has ended":          {&refusal{code: http.StatusInternalServerError, text: "container is in CONTAINER_EXITED state"}, schema.Conflict},
		"a right is missing":    {apierrors.NewForbidden(pods, "web", errors.New("cannot create resource")), schema.Internal},
		"a proxy refuses":       {&refusal{code: http.StatusForbidden, text: "no"}, schema.Internal},
		"a proxy has nobody":    {&refusal{code: http.StatusBadGateway, text: "no"}, schema.Unavailable},
		"the server is busy":    {apierrors.NewTooManyRequests("later", 1), schema.Unavailable},
		"anything":              {errors.New("x"), schema.Unavailable},
	} {
		if got := schema.CodeOf(a.wrap(id, fmt.Errorf("wrapped: %w", test.err))); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if err := a.wrap(id, nil); err != nil {
		t.Error(err)
	}
}

// Nothing but a clear word of success is one.
func TestExitFrom(t *testing.T) {
	status := func(s string) string { return `{"kind":"Status","apiVersion":"v1","metadata":{},` + s + `}` }
	exit := func(code string) string {
		return status(`"status":"Failure","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"` + code + `"}]}`)
	}
	for text, want := range map[string]struct {
		exit Exit
		ok   bool
	}{
		status(`"status":"Success"`): {Exit{}, true},
		exit("7"):                    {Exit{Code: 7}, true},
		exit("137"):                  {Exit{Code: 137, Signal: "KILL"}, true},
		exit("146"):                  {Exit{Code: 146}, true}, // SIGCONT+128 ends nothing
		exit("255"):                  {Exit{Code: 255}, true},
		exit("256"):                  {},
		exit("-1"):                   {},
		exit(""):                     {},
		status(`"status":"Failure","reason":"NonZeroExitCode"`):           {},
		status(`"status":"Failure","reason":"InternalError"`):             {},
		status(`"status":"Failure","message":"container is not running"`): {},
		status(``):   {},
		"{}":         {},
		"":           {},
		"not a JSON": {},
		`"Success"`:  {},
	} {
		got, err := exitFrom([]byte(text))
		if got != want.exit || (err == nil) != want.ok {
			t.Errorf("%s: %+v, error %v; want %+v, ok %v", text, got, err, want.exit, want.ok)
		}
	}
}
