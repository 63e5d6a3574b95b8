package gitsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"bayplan.dev/schema"
)

// wire is one conversation with git-upload-pack or git-receive-pack. go-git's own transports
// don't end with their context, follow redirects with credentials in hand and
// take as much as they are sent, so only its packets and packs are used.
type wire interface {
	// advertise opens the conversation: the other side lists what it has.
	advertise(ctx context.Context) (io.ReadCloser, error)
	// request sends what is wanted or pushed; the answer holds the pack or the report.
	request(ctx context.Context, body []byte) (io.ReadCloser, error)
	io.Closer
}

// maxHaves is how many commits the other side is told of. More are needed
// only where the branch was rewritten further back, and then a pack that
// holds too much is as good.
const maxHaves = 64

// fetch brings the branch's commit and what it needs into the store and
// returns its hash. have is what the store holds completely, or "".
func (r *Repo) fetch(ctx context.Context, into *store, have string) (string, error) {
	w, err := r.connect(ctx, uploadPack)
	if err != nil {
		return "", err
	}
	defer func() { _ = w.Close() }()
	refs, err := advertised(ctx, w)
	if err != nil {
		return "", r.explain("fetch from", err)
	}
	branches := branchesOf(refs)
	tip := branches[r.remote.Branch]
	if tip == "" {
		return "", noBranch(r.remote.Branch, slices.Sorted(maps.Keys(branches)))
	}
	if tip == have {
		return tip, nil
	}
	if err := r.want(ctx, w, refs, into, wish{[]string{tip}, have}); err != nil {
		return "", err
	}
	return tip, into.setBranch(r.remote.Branch, tip)
}

// wish is what is wanted of a remote, and what there is already or "".
type wish struct {
	tips []string
	have string
}

// want brings commits and what they need into the store.
func (r *Repo) want(ctx context.Context, w wire, refs *packp.AdvRefs, into *store, wanted wish) error {
	body, err := encodeRequest(refs.Capabilities, wanted.tips, into.recent(wanted.have))
	if err != nil {
		return schema.Errorf(schema.Internal, "encode request: %w", err)
	}
	answer, err := w.request(ctx, body)
	if err != nil {
		return r.explain("fetch from", err)
	}
	if err := errors.Join(into.addPack(answer, refs.Capabilities), answer.Close()); err != nil {
		return fmt.Errorf("%w: %w", errAdd, r.explain("fetch from", err))
	}
	return nil
}

func (r *Repo) connect(ctx context.Context, service string) (wire, error) {
	return r.connectWithin(ctx, service, r.options.MaxBytes)
}

// connectWithin opens a conversation in which the other side may say so many bytes.
func (r *Repo) connectWithin(ctx context.Context, service string, maxBytes int64) (wire, error) {
	if r.address.scheme == schemeSSH {
		w, err := dialSSH(ctx, r.address, &r.remote, maxBytes)
		if err != nil {
			return nil, err
		}
		w.service = service
		return w, nil
	}
	w, err := newHTTPWire(r.address, &r.remote, maxBytes)
	if err != nil {
		return nil, err
	}
	w.service = service
	return w, nil
}

// explain gives errors without a code one, and keeps secrets out of all.
func (r *Repo) explain(doing string, err error) error {
	if schema.CodeOf(err) != schema.Internal {
		return err
	}
	password, _ := r.remote.password() // only to hide it: without it there is nothing to hide
	return schema.Errorf(schema.Unavailable, "%s %s: %s", doing, r.address.host, redact(err.Error(), password))
}

// advertised reads the list of references.
func advertised(ctx context.Context, w wire) (*packp.AdvRefs, error) {
	body, err := w.advertise(ctx)
	if err != nil {
		return nil, err
	}
	refs := packp.NewAdvRefs()
	err = refs.Decode(body)
	if errors.Is(err, packp.ErrEmptyAdvRefs) {
		err = nil
	}
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, refused(err)
	}
	transport.FilterUnsupportedCapabilities(refs.Capabilities)
	return refs, nil
}

// refused reads the error line that forges send in place of references.
func refused(err error) error {
	line := &pktline.ErrorLine{}
	if !errors.As(err, &line) {
		return err
	}
	return schema.Errorf(schema.NotFound, "the server says: %s", redact(strings.TrimSpace(line.Text)))
}

func branchesOf(refs *packp.AdvRefs) map[string]string {
	branches := map[string]string{}
	for name, hash := range refs.References {
		if ref := plumbing.ReferenceName(name); ref.IsBranch() {
			branches[ref.Short()] = hash.String()
		}
	}
	return branches
}

// encodeRequest says everything at once, without flushes between the haves:
// over HTTP a flush would end the conversation.
func encodeRequest(capabilities *capability.List, wants []string, haves []plumbing.Hash) ([]byte, error) {
	request := packp.NewUploadPackRequestFromCapabilities(capabilities)
	for _, want := range wants {
		request.Wants = append(request.Wants, plumbing.NewHash(want))
	}
	request.Haves = haves
	if capabilities.Supports(capability.NoProgress) {
		if err := request.Capabilities.Set(capability.NoProgress); err != nil {
			return nil, err
		}
	}
	var body bytes.Buffer
	if err := request.UploadRequest.Encode(&body); err != nil {
		return nil, err
	}
	if err := request.UploadHaves.Encode(&body, false); err != nil {
		return nil, err
	}
	err := pktline.NewEncoder(&body).EncodeString("done\n")
	return body.Bytes(), err
}

// addPack writes the pack of the answer into the store; a panic of go-git's
// decoders is an error.
func (s *store) addPack(answer io.ReadCloser, capabilities *capability.List) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read pack: %v", p)
		}
	}()
	pack, err := packOf(answer, capabilities)
	if err != nil {
		return err
	}
	err = s.write(func(st *filesystem.Storage) error { return packfile.UpdateObjectStorage(st, pack) })
	if err != nil {
		return fmt.Errorf("read pack: %w", err)
	}
	return nil
}

// packOf finds the pack in an answer.
func packOf(answer io.ReadCloser, capabilities *capability.List) (io.Reader, error) {
	response := packp.NewUploadPackResponse(packp.NewUploadPackRequest())
	if err := response.Decode(answer); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	switch {
	case capabilities.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, response), nil
	case capabilities.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, response), nil
	}
	return response, nil
}

// recent are the newest commits below have, which is the first.
func (s *store) recent(have string) []plumbing.Hash {
	var haves []plumbing.Hash
	for hash := have; hash != "" && len(haves) < maxHaves; {
		r, err := s.revision(hash)
		if err != nil {
			break
		}
		haves = append(haves, plumbing.NewHash(hash))
		if hash = ""; len(r.parents) > 0 {
			hash = r.parents[0]
		}
	}
	return haves
}

func (s *store) setBranch(branch, hash string) error {
	return s.write(func(st *filesystem.Storage) error {
		ref := plumbing.NewHashReference(plumbing.NewBranchReferenceName(branch), plumbing.NewHash(hash))
		if err := st.SetReference(ref); err != nil {
			return schema.Errorf(schema.Unavailable, "write cache: %w: %w", errAdd, err)
		}
		return nil
	})
}
