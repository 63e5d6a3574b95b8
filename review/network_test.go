package review

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"bayplan.dev/schema"
)

// policies reads NetworkPolicies, one a line: "name: spec".
func policies(t *testing.T, lines string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		name, spec, _ := strings.Cut(strings.TrimSpace(line), ": ")
		var content map[string]any
		if err := yaml.Unmarshal([]byte(spec), &content); err != nil {
			t.Fatal(err)
		}
		all = append(all, object("networking.k8s.io/v1", "NetworkPolicy", name, nil, content))
	}
	return all
}

func TestWhatPoliciesOpen(t *testing.T) {
	const (
		deny     = "deny: {podSelector: {}, policyTypes: [Ingress, Egress]}\n"
		internet = deny + "net: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 192.0.2.0/24]}}]}]}\n"
	)
	open := func(rule string) string {
		return deny + "net: {podSelector: {}, policyTypes: [Egress], egress: [" + rule + "]}\n"
	}
	tests := map[string]struct {
		before, after string
		want          []string
	}{
		"the same":       {internet, internet, nil},
		"narrower":       {internet, open("{to: [{ipBlock: {cidr: 8.8.8.0/24}}]}"), nil},
		"one port of it": {internet, open("{to: [{ipBlock: {cidr: 8.8.8.8/32}}], ports: [{port: 53}]}"), nil},
		"all closed":     {internet, deny, nil},
		"other pods":     {internet, deny + "net: {podSelector: {matchLabels: {a: b}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 1.1.1.1/32}}]}]}", nil},
		"a range that was left out": {
			internet, open("{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}"),
			[]string{"192.0.2.0/24, which was left out (policy net)"},
		},
		"a hole made smaller": {
			internet, open("{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/9, 192.0.2.0/24]}}]}"),
			[]string{"10.0.0.0/8, which was left out (policy net)"},
		},
		"a hole made larger": {internet, open("{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/7, 192.0.0.0/16]}}]}"), nil},
		"within a hole":      {internet, open("{to: [{ipBlock: {cidr: 10.1.0.0/16}}]}"), []string{"10.1.0.0/16 (policy net)"}},
		"the other family":   {internet, open("{to: [{ipBlock: {cidr: '2000::/3'}}]}"), []string{"2000::/3 (policy net)"}},
		"everybody":          {internet, open("{}"), []string{"everybody (policy net)"}},
		"other Pods":         {internet, open("{to: [{podSelector: {}}]}"), []string{"Pods <none> (policy net)"}},
		"another port":       {open("{ports: [{port: 53, protocol: UDP}]}"), open("{ports: [{port: 80, protocol: TCP}]}"), []string{"everybody, port TCP 80 (policy net)"}},
		"a range of ports":   {open("{ports: [{port: 53}]}"), open("{ports: [{port: 53, endPort: 60}]}"), []string{"everybody, port 53-60 (policy net)"}},
		"no policy any more": {internet, "", []string{"everything, because no policy closes them"}},
		"another one closes": {internet, strings.ReplaceAll(internet, "deny", "closed"), nil},
		"only some are closed": {
			deny, "deny: {podSelector: {matchLabels: {a: b}}, policyTypes: [Egress]}",
			[]string{"everything, because no policy closes them"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := rulesOf(policies(t, test.before), networkingv1.PolicyTypeEgress)
			after := rulesOf(policies(t, test.after), networkingv1.PolicyTypeEgress)
			if diff := cmp.Diff(test.want, after.beyond(before)); diff != "" {
				t.Errorf("opened (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIngressWidened(t *testing.T) {
	const deny = "deny: {podSelector: {}, policyTypes: [Ingress]}\n"
	from := "mesh: {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {a: b}}}]}]}"
	r := &spaceReview{was: &schema.Space{}, before: policies(t, deny), after: policies(t, deny+from)}
	r.objects = differing(r.before, r.after)
	got := r.network(schema.Position{})
	if len(got) != 1 || got[0].Name != IngressWidened || got[0].Message != "Pods may be reached by namespaces a=b (policy mesh)" {
		t.Errorf("got %+v, want one %s", got, IngressWidened)
	}
}

// Raw ports are in the format but in no fleet yet.
func TestNewPublicPort(t *testing.T) {
	c := &comparison{base: newSide(&schema.Fleet{}), head: newSide(&schema.Fleet{})}
	r := &spaceReview{comparison: c}
	was := &schema.Container{Spec: schema.ContainerSpec{Expose: []schema.Expose{{Port: 1}}}}
	now := &schema.Container{Spec: schema.ContainerSpec{Expose: []schema.Expose{{Port: 1}, {Port: 30022}}}}
	got := r.hosts(was, now)
	if len(got) != 1 || got[0].Name != NewPublicPort || !strings.Contains(got[0].Message, "port 30022") {
		t.Errorf("got %+v, want one %s", got, NewPublicPort)
	}
}
