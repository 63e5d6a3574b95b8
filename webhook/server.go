package webhook

import (
	"log/slog"
	"net/http"
	"time"
)

// Server returns a server with the timeouts and bounds that the open internet
// asks for. Writing has no timeout of its own: streams and Git take as long as
// they take, and every other route sets a deadline. When the server shuts down
// it ends the streams of an *API; call Close after Shutdown to wait for them.
func Server(addr string, handler http.Handler) *http.Server {
	s := &http.Server{
		Addr:              addr,
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	if a, ok := handler.(*API); ok {
		s.RegisterOnShutdown(a.Close)
		s.ErrorLog = slog.NewLogLogger(a.log.Handler(), slog.LevelWarn)
	}
	return s
}
