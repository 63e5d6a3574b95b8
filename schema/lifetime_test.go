package schema

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestExpired(t *testing.T) {
	at := func(s string) *time.Time {
		t.Helper()
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return &v
	}
	now := *at("2026-10-25T01:30:00Z")
	for name, test := range map[string]struct {
		at   *time.Time
		want bool
	}{
		"never":                                 {nil, false},
		"now":                                   {at("2026-10-25T01:30:00Z"), true},
		"a moment later":                        {at("2026-10-25T01:30:00.001Z"), false},
		"the hour that the clock shows first":   {at("2026-10-25T02:30:00+02:00"), true},
		"the hour that the clock shows again":   {at("2026-10-25T02:30:00+01:00"), true},
		"a minute after, in another zone":       {at("2026-10-25T07:16:00+05:45"), false},
		"long ago":                              {at("0001-01-01T00:00:00Z"), true},
		"at the end of time, beyond it in UTC":  {at("9999-12-31T23:59:59-23:59"), false},
		"before the beginning of time, in UTC ": {at("0000-01-01T00:00:00+23:59"), true},
	} {
		t.Run(name, func(t *testing.T) {
			c := Container{Spec: ContainerSpec{ExpiresAt: test.at}}
			if got := c.Expired(now); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

func TestLifetimes(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	fleet := func(expiry map[string]time.Time) *Fleet {
		f := &Fleet{Platform: &Platform{}, Spaces: Spaces{}}
		f.Platform.Spec.Limits = Limits{Default: Limit{Lifetime: "168h"}, Users: map[User]Limit{"bobby": {Lifetime: "1h"}, "carol": {}}}
		for text, at := range expiry {
			id, err := ParseContainerID(text)
			if err != nil {
				t.Fatal(err)
			}
			c := &Container{ID: id, Source: Position{File: text}}
			if !at.IsZero() {
				c.Spec.ExpiresAt = &at
			}
			f.Spaces.Put(&Space{ID: id.Space, Containers: []*Container{c}})
		}
		return f
	}
	week := now.Add(168 * time.Hour)
	before := fleet(map[string]time.Time{
		"alice--old": {}, "alice--kept": now.AddDate(5, 0, 0), "alice--moved": now.AddDate(5, 0, 0),
	})
	after := fleet(map[string]time.Time{
		"alice--old":   {},                                                // was there before the limit
		"alice--kept":  now.AddDate(5, 0, 0).In(time.FixedZone("", 3600)), // says the same
		"alice--moved": now.AddDate(6, 0, 0),                              //
		"alice--new":   {},                                                //
		"alice--good":  week,                                              //
		"alice--past":  now.AddDate(-1, 0, 0),                             // a state, no mistake
		"bobby--late":  now.Add(time.Hour + time.Second),                  //
		"carol--late":  week.Add(time.Second),                             //
	})
	var got []string
	for _, f := range Lifetimes(before, after, now) {
		got = append(got, f.File+": "+f.Message)
	}
	want := []string{
		"alice--moved: 2032-06-01T12:00:00Z is later than the platform allows now, 2026-06-08T12:00:00Z",
		"alice--new: is missing, and the platform limits how long a container lives",
		"bobby--late: 2026-06-01T13:00:01Z is later than the platform allows now, 2026-06-01T13:00:00Z",
		"carol--late: 2026-06-08T12:00:01Z is later than the platform allows now, 2026-06-08T12:00:00Z",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if got := Lifetimes(nil, fleet(map[string]time.Time{"alice--a": week}), now); len(got) > 0 {
		t.Errorf("without a fleet before: got %v", got)
	}
}
