package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"bayplan.dev/schema"
	"bayplan.dev/webhook"
)

// config is the server's configuration file; deploy/config.yaml is the sample
// that explains each field. A flag beats the environment, the environment
// beats the file, the file beats the default.
type config struct {
	Listen     string           `json:"listen"`
	Metrics    metricsConfig    `json:"metrics"`
	Repository repositoryConfig `json:"repository"`
	Cluster    clusterConfig    `json:"cluster"`
	Images     imagesConfig     `json:"images"`
	Auth       authConfig       `json:"auth"`
	SSH        sshConfig        `json:"ssh"`
	Hooks      hooksConfig      `json:"hooks"`
	Origins    []string         `json:"origins"`
	Limits     limitsConfig     `json:"limits"`
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix `json:"trustedProxies"`
	Log            logConfig      `json:"log"`
}

type metricsConfig struct {
	Listen string `json:"listen"`
}

type repositoryConfig struct {
	URL            string      `json:"url"`
	Branch         string      `json:"branch"`
	Poll           duration    `json:"poll"`
	Cache          string      `json:"cache"`
	Host           string      `json:"host"`
	Username       string      `json:"username"`
	PasswordFile   string      `json:"passwordFile"`
	SSHKeyFile     string      `json:"sshKeyFile"`
	KnownHostsFile string      `json:"knownHostsFile"`
	Review         string      `json:"review"`
	Forge          forgeConfig `json:"forge"`
}

type clusterConfig struct {
	Kubeconfig     string `json:"kubeconfig"`
	Context        string `json:"context"`
	Fleet          string `json:"fleet"`
	Workers        int    `json:"workers"`
	LeaderElection bool   `json:"leaderElection"`
}

type imagesConfig struct {
	DockerConfigFile string `json:"dockerConfigFile"`
}

// limitsConfig bounds callers; what is left out is the API's own bound.
type limitsConfig struct {
	Reads   webhook.Rate `json:"reads"`
	Writes  webhook.Rate `json:"writes"`
	Streams int          `json:"streams"`
	// Upload is how much may be written to a container at once.
	Upload resource.Quantity `json:"upload"`
}

type hooksConfig struct {
	GitHub  hookConfig `json:"github"`
	GitLab  hookConfig `json:"gitlab"`
	Gitea   hookConfig `json:"gitea"`
	Forgejo hookConfig `json:"forgejo"`
	Generic hookConfig `json:"generic"`
}

type hookConfig struct {
	SecretFile string `json:"secretFile"`
}

type logConfig struct {
	Level  slog.Level `json:"level"`
	Format string     `json:"format"`
}

// duration is written as Go writes it: 30s, 24h.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}

func defaultConfig() config {
	return config{
		Listen:     "127.0.0.1:8080",
		Metrics:    metricsConfig{Listen: "127.0.0.1:9090"},
		Repository: repositoryConfig{Branch: "main", Poll: duration(30 * time.Second)},
		Cluster:    clusterConfig{Workers: 16},
		Log:        logConfig{Format: "text"},
	}
}

// readConfig fills c from the file; a field that it doesn't know is an error.
func (c *config) readConfig(file string) error {
	text, err := os.ReadFile(file) //nolint:gosec // the operator named the file
	if errors.Is(err, fs.ErrNotExist) {
		return schema.Errorf(schema.NotFound, "read configuration: %w", err)
	}
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if err := yaml.UnmarshalStrict(text, c); err != nil {
		return schema.Errorf(schema.Invalid, "configuration %s: %w", file, err)
	}
	return nil
}

// setting binds one field to its flag and its environment variable.
type setting struct {
	flag  string
	usage string
	field *string
}

func (s setting) env() string {
	return "BAYPLAN_" + strings.ToUpper(strings.ReplaceAll(s.flag, "-", "_"))
}

func (c *config) settings() []setting {
	return []setting{
		{"listen", "address of the API, the repository and the hooks", &c.Listen},
		{"metrics-listen", "address of the Prometheus metrics; empty for none", &c.Metrics.Listen},
		{"ssh-listen", "address of the SSH gateway into containers; empty for none", &c.SSH.Listen},
		{"repository", "URL (https, ssh) or path of the fleet repository", &c.Repository.URL},
		{"branch", "branch that is synced", &c.Repository.Branch},
		{"host", "host the fleet repository itself, in this folder", &c.Repository.Host},
		{"cache", "folder of the disposable clone (default in the user's cache folder)", &c.Repository.Cache},
		{"username", "user name for the repository over https", &c.Repository.Username},
		{"password-file", "file with the password or token for the repository over https", &c.Repository.PasswordFile},
		{"ssh-key-file", "file with the private key for the repository over ssh", &c.Repository.SSHKeyFile},
		{"known-hosts-file", "file with the host keys for the repository over ssh", &c.Repository.KnownHostsFile},
		{"kubeconfig", "kubeconfig of the cluster; empty inside a cluster", &c.Cluster.Kubeconfig},
		{"context", "context of the kubeconfig", &c.Cluster.Context},
		{"fleet", "name of this fleet where several share the cluster", &c.Cluster.Fleet},
	}
}

// validate says everything that is missing or contradicts itself.
func (c *config) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, schema.Errorf(schema.Invalid, "configuration: "+format, args...))
	}
	if (c.Repository.URL == "") == (c.Repository.Host == "") {
		bad("give either repository.url (--repository) or repository.host (--host)")
	}
	if c.Repository.Poll < duration(time.Second) {
		bad("repository.poll %s is shorter than 1s", time.Duration(c.Repository.Poll))
	}
	if err := c.Repository.checkReview(); err != nil {
		bad("%w", err)
	}
	if c.Cluster.Fleet != "" {
		if err := schema.ValidateName("fleet", c.Cluster.Fleet); err != nil {
			bad("cluster.fleet: %w", err)
		}
	}
	if c.Cluster.Workers < 1 || c.Cluster.Workers > 256 {
		bad("cluster.workers %d is not within 1 and 256", c.Cluster.Workers)
	}
	if c.Limits.Streams < 0 || c.Limits.Reads.Burst < 0 || c.Limits.Writes.Burst < 0 || c.Limits.Upload.Sign() < 0 {
		bad("limits: streams, bursts and upload can't be negative")
	}
	if c.SSH.Listen != "" && len(c.SSH.HostKeyFiles) == 0 {
		bad("ssh.hostKeyFiles must name a file that stays: clients remember the key in it")
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		bad("log.format %q must be text or json", c.Log.Format)
	}
	return errors.Join(errs...)
}

// secrets reads the hooks' secrets, by forge.
func (h hooksConfig) secrets() (map[string][]byte, error) {
	secrets := map[string][]byte{}
	for forge, hook := range map[string]hookConfig{
		"github": h.GitHub, "gitlab": h.GitLab, "gitea": h.Gitea, "forgejo": h.Forgejo, "generic": h.Generic,
	} {
		if hook.SecretFile == "" {
			continue
		}
		secret, err := readSecret(hook.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("secret of hook %s: %w", forge, err)
		}
		secrets[forge] = []byte(secret)
	}
	return secrets, nil
}

// readSecret reads a file that holds one secret; the line break that editors
// leave at its end isn't part of it.
func readSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file) //nolint:gosec // the operator named the file
	if err != nil {
		return "", schema.Errorf(schema.Invalid, "read secret: %w", err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", schema.Errorf(schema.Invalid, "secret file %s is empty", file)
	}
	return secret, nil
}

func (a *app) logger(c logConfig) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if cmp.Or(c.Format, "text") == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, options))
	}
	return slog.New(slog.NewTextHandler(a.stderr, options))
}

// bindFlags gives cmd the flags of the named settings, or of all when none is named.
func (c *config) bindFlags(cmd *cobra.Command, names ...string) {
	for _, s := range c.settings() {
		if len(names) == 0 || slices.Contains(names, s.flag) {
			cmd.Flags().StringVar(s.field, s.flag, *s.field, s.usage+" ($"+s.env()+")")
		}
	}
}

// configOf is the configuration that cmd was called with; flags are those that
// bindFlags has bound.
func (a *app) configOf(cmd *cobra.Command, flags config, file string) (config, error) {
	c := defaultConfig()
	if file == "" {
		file = a.getenv("BAYPLAN_CONFIG")
	}
	if file != "" {
		if err := c.readConfig(file); err != nil {
			return c, err
		}
	}
	given := flags.settings()
	for i, s := range c.settings() {
		flag := cmd.Flags().Lookup(s.flag)
		switch v := a.getenv(s.env()); {
		case flag == nil:
		case flag.Changed:
			*s.field = *given[i].field
		case v != "":
			*s.field = v
		}
	}
	return c, nil
}
