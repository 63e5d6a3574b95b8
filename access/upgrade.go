package access

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"

	"bayplan.dev/schema"
)

const (
	// handshake bounds how long the API server, the kubelet and the container
	// runtime may take to agree to a stream.
	handshake = 30 * time.Second
	// heartbeat keeps what lies between us and the API server from taking a
	// silent stream for a dead one.
	heartbeat = 30 * time.Second
	// maxRefusal bounds what is read of an answer that isn't a stream.
	maxRefusal = 64 << 10
)

// streamClient speaks HTTP/1.1, the only version that can be upgraded.
func streamClient(config *rest.Config) (*http.Client, error) {
	config = rest.CopyConfig(config)
	config.NextProtos = []string{"http/1.1"}
	return rest.HTTPClientFor(config)
}

// address is that of a subresource of the Pod.
func (a *Access) address(t Target, subresource string, options runtime.Object) *url.URL {
	return a.core.Post().Namespace(t.Namespace).Resource("pods").Name(t.Pod).SubResource(subresource).
		VersionedParams(options, scheme.ParameterCodec).URL()
}

// upgraded is a connection that was an HTTP request before.
type upgraded struct{ io.ReadWriteCloser }

// LocalAddr implements net.Conn.
func (upgraded) LocalAddr() net.Addr { return streamAddr{} }

// RemoteAddr implements net.Conn.
func (upgraded) RemoteAddr() net.Addr { return streamAddr{} }

// SetDeadline implements net.Conn; nobody sets one on a connection that several streams share.
func (upgraded) SetDeadline(time.Time) error { return errNoDeadline }

// SetReadDeadline implements net.Conn.
func (upgraded) SetReadDeadline(time.Time) error { return errNoDeadline }

// SetWriteDeadline implements net.Conn.
func (upgraded) SetWriteDeadline(time.Time) error { return errNoDeadline }

type streamAddr struct{}

func (streamAddr) Network() string { return "kubernetes" }
func (streamAddr) String() string  { return "kubernetes" }

// session is one SPDY connection.
type session struct {
	httpstream.Connection
	raw io.Closer
}

// Close ends the session, even where the other side reads nothing any more and
// a proper goodbye would block.
func (s session) Close() error {
	err := s.raw.Close()
	_ = s.Connection.Close()
	return err
}

// dialSPDY asks for SPDY/3.1. It is Kubernetes' older protocol of streams, and
// the one that the container runtime speaks: the API server passes its bytes
// on. Of a WebSocket it unpacks and packs them instead, and gives the exit code
// ten seconds to be read, or drops it and the output before it; somebody who
// reads page by page takes longer.
func (a *Access) dialSPDY(ctx context.Context, u *url.URL, protocol string) (session, error) {
	within, cancel := context.WithTimeout(ctx, handshake)
	defer cancel()
	request, err := http.NewRequestWithContext(within, http.MethodPost, u.String(), nil)
	if err != nil {
		return session{}, err
	}
	request.Header.Set(httpstream.HeaderConnection, httpstream.HeaderUpgrade)
	request.Header.Set(httpstream.HeaderUpgrade, spdy.HeaderSpdy31)
	request.Header.Set(httpstream.HeaderProtocolVersion, protocol)
	response, err := a.streams.Do(request)
	if err != nil {
		return session{}, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return session{}, refused(response)
	}
	raw, ok := response.Body.(io.ReadWriteCloser)
	if !ok {
		_ = response.Body.Close()
		return session{}, schema.Errorf(schema.Internal, "upgrade: %T can't be written to", response.Body)
	}
	if got := response.Header.Get(httpstream.HeaderProtocolVersion); got != protocol {
		_ = raw.Close()
		return session{}, schema.Errorf(schema.Unavailable, "the API server streams in %q, not %q", got, protocol)
	}
	return newSession(raw)
}

func newSession(raw io.ReadWriteCloser) (session, error) {
	connection, err := spdy.NewClientConnectionWithPings(upgraded{raw}, heartbeat)
	if err != nil {
		_ = raw.Close()
		return session{}, err
	}
	return session{connection, raw}, nil
}

// dialWebSocket asks for a WebSocket, which everything on the way lets pass.
func (a *Access) dialWebSocket(ctx context.Context, u *url.URL, protocol string) (*websocket.Conn, error) {
	within, cancel := context.WithTimeout(ctx, handshake)
	defer cancel()
	conn, response, err := websocket.Dial(within, u.String(), &websocket.DialOptions{
		HTTPClient: a.streams, Subprotocols: []string{protocol}, CompressionMode: websocket.CompressionDisabled,
	})
	if err != nil {
		if response != nil && response.Body != nil && response.StatusCode != http.StatusSwitchingProtocols {
			return nil, refused(response)
		}
		return nil, err
	}
	if got := conn.Subprotocol(); got != protocol {
		_ = conn.CloseNow()
		return nil, schema.Errorf(schema.Unavailable, "the API server streams in %q, not %q", got, protocol)
	}
	conn.SetReadLimit(-1) // it is read piece by piece
	return conn, nil
}

// refusal is an answer that isn't a stream.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

// refused reads why there is no stream: from the API server as a Status, from
// the kubelet as text, and from a proxy as anything.
func refused(response *http.Response) error {
	defer response.Body.Close() //nolint:errcheck // only read
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" && !strings.Contains(status.Message, "pgrade request required") {
		return &apierrors.StatusError{ErrStatus: status}
	}
	text := strings.TrimSpace(string(body))
	if text == "" || len(text) > 1024 || strings.Contains(text, "<html") {
		text = http.StatusText(response.StatusCode)
	}
	return &refusal{code: response.StatusCode, text: text}
}

// another says whether it is worth asking with another protocol: what answered
// may have been something between us and Kubernetes.
func another(err error) bool {
	_, ok := err.(*refusal) //nolint:errorlint // as refused returns it
	return ok
}

// both opens a stream over SPDY or, where that doesn't pass, over a WebSocket,
// and remembers which of them does.
func both[T any](a *Access, overSPDY, overWebSocket func() (T, error)) (T, error) {
	if a.webSockets.Load() {
		return overWebSocket()
	}
	stream, err := overSPDY()
	if err == nil || !another(err) {
		return stream, err
	}
	stream, second := overWebSocket()
	if second != nil {
		return stream, err
	}
	a.webSockets.Store(true)
	return stream, nil
}
