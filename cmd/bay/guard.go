package main

import (
	"log/slog"
	"net"
	"time"

	"github.com/spf13/cobra"

	"bayplan.dev/schema"
	"bayplan.dev/webhook/auth"
)

// authConfig says who may call.
type authConfig struct {
	File           string        `json:"file"`
	KeyFile        string        `json:"keyFile"`
	MakeKey        bool          `json:"makeKey"`
	AcceptKeyFiles []string      `json:"acceptKeyFiles"`
	Issuer         string        `json:"issuer"`
	Audience       string        `json:"audience"`
	TokenLifetime  duration      `json:"tokenLifetime"`
	Issuers        []auth.Issuer `json:"issuers"`
}

// guard returns nil when nobody is to be asked who they are. That is for this
// machine only: whoever reaches the address could do everything.
func (c authConfig) guard(log *slog.Logger, at net.Addr) (*auth.Guard, error) {
	if c.File == "" && len(c.Issuers) == 0 {
		if tcp, ok := at.(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
			return nil, schema.Errorf(schema.Invalid, "without auth.file or auth.issuers everybody who reaches %s could do everything: configure one of them, or listen on 127.0.0.1", at)
		}
		return nil, nil
	}
	return auth.New(auth.Options{
		Log: log, File: c.File, KeyFile: c.KeyFile, MakeKey: c.MakeKey, AcceptKeyFiles: c.AcceptKeyFiles,
		Issuer: c.Issuer, Audience: c.Audience, Lifetime: time.Duration(c.TokenLifetime), Issuers: c.Issuers,
	})
}

func (a *app) appKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "app-key",
		Short: "Make a secret key for an app, and its hash for the server's auth.file",
		Long: `Make a secret key of 256 random bits. The app keeps the key; the server's
auth.file gets only its hash, below keyHashes of the app.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			key, hash := auth.NewKey()
			return a.printf("key   %s\nhash  %s\n", key, hash)
		},
	}
}
