package images

import (
	"encoding/json"
	"io"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"

	"bayplan.dev/schema"
)

const maxDockerConfig = 1 << 20

// credentials are those of the most exact entry of "auths" for a registry
// "host[:port][/path]", which may be less exact but not more: credentials for
// one path aren't shown for another. Anonymous where there are none.
func credentials(file, registry string) (authn.Authenticator, error) {
	if file == "" {
		return authn.Anonymous, nil
	}
	var config struct {
		Auths map[string]authn.AuthConfig `json:"auths"`
	}
	f, err := os.Open(file) //nolint:gosec // the operator names it
	if err != nil {
		return nil, schema.Errorf(schema.Unavailable, "read docker config: %w", err)
	}
	defer func() { _ = f.Close() }()
	if err := json.NewDecoder(io.LimitReader(f, maxDockerConfig)).Decode(&config); err != nil {
		// The error may quote what is in the file.
		return nil, schema.Errorf(schema.Invalid, "docker config %s is no JSON of docker login", file)
	}
	want := normal(registry)
	best, found := "", authn.AuthConfig{}
	for key, auth := range config.Auths {
		if key := normal(key); below(want, key) && len(key) > len(best) {
			best, found = key, auth
		}
	}
	if best == "" {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(found), nil
}

// normal takes off what docker login puts around a host.
func normal(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	key = strings.TrimSuffix(key, "/")
	for _, version := range []string{"/v1", "/v2"} {
		key = strings.TrimSuffix(key, version)
	}
	if rest, ok := strings.CutPrefix(key, "index.docker.io"); ok {
		key = "docker.io" + rest
	}
	return key
}
