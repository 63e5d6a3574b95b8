package review

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"bayplan.dev/schema"
)

const (
	webFile      = "users/alice/web/web.yaml"
	dataFile     = "users/alice/web/data.yaml"
	platformFile = "platform.yaml"
	laptopKey    = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHPtZwwzMK83j/g5FRZdWUrcU8PWNNb/8r0W9z/mmXGr"
)

func platform(spec string) string { return document("Platform", "platform", spec) }

// many are n containers of one space each.
func many(n int, lines ...string) files {
	f := files{}
	for i := range n {
		f[fmt.Sprintf("users/alice/s%d/web.yaml", i)] = container("web", lines...)
	}
	return f
}

// Every caution has a change that raises it.
func TestCautions(t *testing.T) {
	base := files{webFile: container("web", image)}
	data := files{dataFile: document("Volume", "data", "{size: 2Gi, persistent: true}")}
	tests := map[string]struct {
		base, change files
		want         []string
	}{
		VolumeDelete:      {base.with(data), files{dataFile: ""}, []string{"volume alice--web/data: volume-delete"}},
		VolumeShrink:      {base.with(data), files{dataFile: document("Volume", "data", "{size: 1Gi, persistent: true}")}, []string{"volume alice--web/data: volume-shrink"}},
		VolumeUnprotected: {base.with(data), files{dataFile: document("Volume", "data", "{size: 2Gi}")}, []string{"volume alice--web/data: volume-unprotected"}},
		VolumeImmutable: {
			base.with(data),
			files{dataFile: document("Volume", "data", "{size: 2Gi, persistent: true, storageClassName: fast}")},
			[]string{"volume alice--web/data: volume-immutable"},
		},
		SpaceDelete: {
			base.with(files{"users/bob/x/x.yaml": container("x", image)}),
			files{"users/bob/x/x.yaml": ""},
			[]string{"space bob--x: space-delete", "container bob--x: container-delete"},
		},
		ContainerDelete: {
			base.with(files{"users/alice/web/api.yaml": container("api", image, "ingress: [{port: 80}]")}),
			files{"users/alice/web/api.yaml": ""},
			[]string{"container alice--web--api: container-delete", "container alice--web--api: host-gone"},
		},
		NewPublicHost: {base, files{webFile: container("web", image, "ingress: [{port: 443, targetPort: 80}]")}, []string{"container alice--web: new-public-host"}},
		HostMoved: {
			files{webFile: container("web", image, "ingress: [{port: 80, host: alice--x.bayplan.localhost}]"), "users/alice/web/api.yaml": container("api", image)},
			files{webFile: container("web", image), "users/alice/web/api.yaml": container("api", image, "ingress: [{port: 80, host: alice--x.bayplan.localhost}]")},
			[]string{"container alice--web--api: host-moved"},
		},
		HostGone: {files{webFile: container("web", image, "ingress: [{port: 80}]")}, files{webFile: container("web", image)}, []string{"container alice--web: host-gone"}},
		TLSOff: {
			files{webFile: container("web", image, "ingress: [{port: 443, targetPort: 80}]")},
			files{webFile: container("web", image, "ingress: [{port: 443, targetPort: 80, tls: false}]")},
			[]string{"container alice--web: tls-off"},
		},
		EgressWidened: {
			base.with(files{platformFile: platform("{network: {blockedCIDRs: [198.41.128.0/24]}}")}),
			files{platformFile: platform("{network: {blockedCIDRs: []}}")},
			[]string{"platform: egress-widened", "space alice--web: egress-widened"},
		},
		PodSecurityRelaxed: {
			files{webFile: container("web", image, "securityContext: {runAsUser: 7}")},
			files{platformFile: platform("{security: {level: baseline}}")},
			[]string{"platform: pod-security-relaxed", "platform: restart", "space alice--web: pod-security-relaxed", "container alice--web: restart"},
		},
		RootUser: {
			files{webFile: container("web", image, "securityContext: {runAsUser: 7}"), platformFile: platform("{security: {level: baseline}}")},
			files{webFile: container("web", image, "securityContext: {runAsUser: 0}")},
			[]string{"container alice--web: root-user", "container alice--web: restart"},
		},
		SSHKeyAdded: {
			files{webFile: container("web", image, "ssh: {enabled: true}")},
			files{"users/alice/keys/laptop.yaml": document("SSHKey", "laptop", "{publicKey: "+laptopKey+"}")},
			[]string{"SSH key alice/laptop: ssh-key-added"},
		},
		SSHEnabled: {base, files{webFile: container("web", image, "ssh: {enabled: true}")}, []string{"container alice--web: ssh-enabled"}},
		ImageRegistryNew: {
			base,
			files{webFile: container("web", strings.Replace(image, "registry.", "other.", 1))},
			[]string{"container alice--web: restart", "container alice--web: image-registry-new"},
		},
		ImageNotDigest: {
			base,
			files{webFile: container("web", "image: registry.example.com/web:2")},
			[]string{"container alice--web: restart", "container alice--web: image-not-digest"},
		},
		ExpireDelete: {
			base,
			files{webFile: container("web", image, "expiresAt: 2027-01-01T00:00:00Z", "expirePolicy: Delete")},
			[]string{"container alice--web: expire-delete"},
		},
		Restart: {base, files{webFile: container("web", image, "args: [a]")}, []string{"container alice--web: restart"}},
		Stop:    {base, files{webFile: container("web", image, "args: [a]", "state: Stopped")}, []string{"container alice--web: stop"}},
		Frozen:  {base, files{webFile: container("web", image, "args: 7")}, []string{"space alice--web: frozen"}},
		Thawed:  {files{webFile: container("web", image, "args: 7")}, files{webFile: container("web", image)}, []string{"space alice--web: thawed"}},
		QuotaOver: {
			base.with(files{platformFile: platform("{limits: {default: {containers: 1}}}")}),
			files{"users/alice/web/b.yaml": container("b", image)},
			[]string{"quota-over", "space alice--web: frozen"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			plan := compare(t, test.base, test.base.with(test.change), Options{})
			if diff := cmp.Diff(test.want, raised(plan)); diff != "" {
				t.Errorf("cautions (-want +got):\n%s\n%s", diff, Text(plan, TextOptions{Objects: true}))
			}
		})
	}
	// Raised by more than one file, by what no fleet may say yet, or by objects of the overlay.
	elsewhere := []string{MassDelete, NewPublicPort, IngressWidened}
	for _, name := range CautionNames() {
		if _, ok := tests[name]; !ok && !slices.Contains(elsewhere, name) {
			t.Errorf("no test raises %s", name)
		}
		if About(name) == "" || LevelOf(name) == "" {
			t.Errorf("nothing is said of %s", name)
		}
	}
}

// raised lists the cautions with what they are about.
func raised(plan *Plan) []string {
	var all []string
	for _, c := range plan.Cautions {
		all = append(all, c.Name)
	}
	for _, change := range plan.Changes {
		for _, c := range change.Cautions {
			all = append(all, strings.TrimSpace(kindWords[change.Kind]+" "+change.ID)+": "+c.Name)
		}
	}
	return all
}

func TestMassDelete(t *testing.T) {
	for n, want := range map[int]bool{5: false, 6: true} {
		base, head := many(20, image), many(20-n, image)
		got := slices.Contains(raised(compare(t, base, head, Options{})), MassDelete)
		if got != want {
			t.Errorf("mass-delete for %d of 20: got %v, want %v", n, got, want)
		}
	}
	if plan := compare(t, many(2, image), files{}, Options{}); !slices.Contains(raised(plan), MassDelete) {
		t.Error("an emptied repository raises no mass-delete")
	}
}

func TestSameFleetIsEmpty(t *testing.T) {
	for _, f := range []files{{}, many(3, image, "env: [{name: A, value: b}]"), {webFile: container("web", "args: 7")}} {
		if plan := compare(t, f, f, Options{}); !plan.Empty() || len(raised(plan)) > 0 || len(plan.Findings) > 0 {
			t.Errorf("got %s, want nothing", Text(plan, TextOptions{}))
		}
	}
}

// A comment changes nothing, nor does a document that moves within its file.
func TestOnlyMeaningCounts(t *testing.T) {
	base := files{webFile: container("web", image)}
	head := files{webFile: "# hello\n" + container("web", image)}
	if plan := compare(t, base, head, Options{}); !plan.Empty() {
		t.Errorf("got %s, want nothing", Text(plan, TextOptions{}))
	}
}

func TestDeterministic(t *testing.T) {
	base := many(40, image)
	head := many(50, image, "args: [x]").with(files{platformFile: platform("{security: {level: baseline}}")})
	want := encoded(t, compare(t, base, head, Options{}))
	for range 3 {
		if got := encoded(t, compare(t, base, head, Options{})); got != want {
			t.Fatalf("two runs differ:\n%s", cmp.Diff(want, got))
		}
	}
}

func encoded(t *testing.T, plan *Plan) string {
	t.Helper()
	text, err := json.MarshalIndent(plan, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPlatformReachesEverybody(t *testing.T) {
	base := many(30, image, "securityContext: {runAsUser: 7}")
	plan := compare(t, base, base.with(files{platformFile: platform("{security: {level: baseline}}")}), Options{MaxAffected: 4})
	if got, want := plan.Summary.Affected, 30; got != want {
		t.Errorf("affected: got %d, want %d", got, want)
	}
	if got, want := plan.Summary.Cautions[Restart], 30; got != want {
		t.Errorf("restarts: got %d, want %d", got, want)
	}
	if got, want := len(plan.Changes), 1+4; got != want {
		t.Errorf("changes: got %d, want %d", got, want)
	}
	i := slices.IndexFunc(plan.Changes[0].Cautions, func(c Caution) bool { return c.Name == Restart })
	if i < 0 || plan.Changes[0].Cautions[i].Count != 30 || !strings.Contains(plan.Changes[0].Cautions[i].Message, "and 25 more") {
		t.Errorf("the platform's change says of restarts: %v", plan.Changes[0].Cautions)
	}
	if !slices.ContainsFunc(plan.Cut, func(s string) bool { return strings.Contains(s, "28 more containers") }) {
		t.Errorf("cut: got %q, want it to count the others", plan.Cut)
	}
}

// What is cut is said, and what is grave stays.
func TestBounds(t *testing.T) {
	base := many(20, image)
	head := many(20, image, "args: [x]").with(files{"users/alice/s7/web.yaml": container("web", image, "ingress: [{port: 80}]")})
	plan := compare(t, base, head, Options{MaxChanges: 3, MaxObjects: 1, MaxSpaces: 10, MaxValue: 3})
	if got, want := len(plan.Changes), 3; got != want {
		t.Fatalf("changes: got %d, want %d", got, want)
	}
	if !slices.Contains(raised(plan), "container alice--s7--web: "+NewPublicHost) {
		t.Errorf("the gravest change was cut: %v", raised(plan))
	}
	if got, want := plan.Summary.Change, 20; got != want {
		t.Errorf("summary: got %d, want %d", got, want)
	}
	for _, want := range []string{"17 changes are counted", "the differences of 10 objects", "10 spaces were not rendered"} {
		if !slices.ContainsFunc(plan.Cut, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("cut: got %q, want %q among it", plan.Cut, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	loader := schema.NewLoader()
	if _, err := Compare(ctx, base.load(t, loader), head.load(t, loader), Options{}); err == nil {
		t.Error("a cancelled comparison ends without an error")
	}
}

func TestRefusedRendering(t *testing.T) {
	base := files{webFile: container("web", image)}
	head := base.with(files{"users/alice/web/space.yaml": document("Space", "web", "{description: refused}")})
	plan := compare(t, base, head, Options{})
	if len(plan.Findings) != 1 || plan.Findings[0].Code != "render" {
		t.Errorf("findings: got %v, want one of rendering", plan.Findings)
	}
}

// A defect of the renderer is an error of this comparison, and ends nothing else.
func TestRendererThatPanics(t *testing.T) {
	loader := schema.NewLoader()
	head := files{webFile: container("web", image)}.load(t, loader)
	_, err := Compare(t.Context(), files{}.load(t, loader), head, Options{Render: func(*schema.Fleet, schema.SpaceID) ([]*unstructured.Unstructured, error) {
		panic("a defect")
	}})
	if schema.CodeOf(err) != schema.Internal || !strings.Contains(err.Error(), "alice--web") {
		t.Errorf("got %v, want an internal error that names the space", err)
	}
}

// Promise: no secrets out.
func TestSecretsStayHidden(t *testing.T) {
	spec := func(secret string) []string {
		return []string{
			image, `command: [run, "--password=` + secret + `1"]`, `args: [--api-token, ` + secret + `2, "postgres://u:` + secret + `3@h/d"]`,
			`env: [{name: GREETING, value: ` + secret + `4}]`,
		}
	}
	base, head := files{webFile: container("web", spec("hunter")...)}, files{webFile: container("web", spec("rabbit")...)}.healthy(t)
	plan := compare(t, base, head, Options{})
	for _, text := range []string{encoded(t, plan), Text(plan, TextOptions{Objects: true}), Markdown(plan, 0)} {
		for _, secret := range []string{"hunter", "rabbit"} {
			if strings.Contains(text, secret) {
				t.Errorf("shows %s:\n%s", secret, text)
			}
		}
		if !strings.Contains(text, hiddenChanged) {
			t.Errorf("doesn't say that what is hidden has changed:\n%s", text)
		}
	}
	plan = compare(t, base, head, Options{ShowValues: true})
	for i := 1; i <= 4; i++ {
		if want := fmt.Sprint("rabbit", i); !strings.Contains(encoded(t, plan), want) {
			t.Errorf("with ShowValues it doesn't show %s", want)
		}
	}
}
