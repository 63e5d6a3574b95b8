package gitsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"bayplan.dev/schema"
)

// pushRemote sends the objects, and no others, with the wish to move the branch
// from old to tip: the other side compares and swaps. (go-git's own push walks
// all that the remote has.) Errors: errStale, ErrUnknown and errDeclined as they
// say; with any other nothing was written.
func (r *Repo) pushRemote(ctx context.Context, m move, objects []object) error {
	w, err := r.connect(ctx, receivePack)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }()
	refs, err := advertised(ctx, w)
	if err != nil {
		return r.explain("push to", err)
	}
	if branchesOf(refs)[m.branch] != string(m.old) {
		return errStale
	}
	request, err := updateRequest(refs.Capabilities, m, objects)
	if err != nil {
		return schema.Errorf(schema.Internal, "encode push: %w", err)
	}
	var body bytes.Buffer
	if err := request.Encode(&body); err != nil {
		return schema.Errorf(schema.Internal, "encode push: %w", err)
	}
	answer, err := w.request(ctx, body.Bytes())
	if err != nil {
		return r.sent(err)
	}
	said := &boundedBuffer{}
	report, err := readReport(answer, request.Capabilities, said)
	if err = errors.Join(err, answer.Close()); err != nil {
		return r.sent(err)
	}
	return r.judge(report, said.String())
}

func updateRequest(offered *capability.List, m move, objects []object) (*packp.ReferenceUpdateRequest, error) {
	p, err := newPack(objects)
	if err != nil {
		return nil, err
	}
	request := packp.NewReferenceUpdateRequestFromCapabilities(offered)
	if offered.Supports(capability.Sideband64k) {
		if err := request.Capabilities.Set(capability.Sideband64k); err != nil {
			return nil, err
		}
	}
	request.Commands = []*packp.Command{{
		Name: plumbing.NewBranchReferenceName(m.branch), Old: plumbing.NewHash(string(m.old)), New: plumbing.NewHash(string(m.tip)),
	}}
	request.Packfile = io.NopCloser(bytes.NewReader(p.content))
	return request, nil
}

// sent keeps what is certain of a failure after the push was on its way: that
// the other side didn't let it in. Anything else may mean anything.
func (r *Repo) sent(err error) error {
	if schema.CodeOf(err) == schema.Forbidden {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnknown, r.explain("push to", err))
}

func readReport(answer io.Reader, capabilities *capability.List, said *boundedBuffer) (report *packp.ReportStatus, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read report: %v", p)
		}
	}()
	if capabilities.Supports(capability.Sideband64k) {
		d := sideband.NewDemuxer(sideband.Sideband64k, answer)
		d.Progress = said
		answer = d
	}
	report = packp.NewReportStatus()
	if err := report.Decode(answer); err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	// What the other side still says belongs to the answer; the report is whole.
	_, _ = io.Copy(io.Discard, answer)
	return report, nil
}

// judge reads the report-status of gitprotocol-pack(5).
func (r *Repo) judge(report *packp.ReportStatus, said string) error {
	reason := ""
	switch {
	case report.UnpackStatus != "ok":
		reason = report.UnpackStatus
	case len(report.CommandStatuses) != 1:
		return fmt.Errorf("%w: %d answers to one command", ErrUnknown, len(report.CommandStatuses))
	case report.CommandStatuses[0].Status != "ok":
		reason = report.CommandStatuses[0].Status
	default:
		return nil
	}
	if hasMoved(reason) {
		return errStale
	}
	if said = strings.TrimSpace(said); said != "" {
		reason += ": " + said
	}
	password, _ := r.remote.password() // only to hide it
	return schema.Errorf(schema.Forbidden, "%s: %w: %s", r.address.host, errDeclined, redact(reason, password))
}

// movedReasons are what git and forges say when somebody else was faster or
// has the branch locked just now.
var movedReasons = []string{ //nolint:gochecknoglobals // a table
	"failed to update ref", "cannot lock ref", "failed to lock", "non-fast-forward", "fetch first", "stale info",
	"incorrect old value", "reference already exists", "but expected",
}

func hasMoved(reason string) bool {
	for _, text := range movedReasons {
		if strings.Contains(reason, text) {
			return true
		}
	}
	return false
}

// keep adds what was pushed to the cache, so that the next Head has nothing to
// fetch. The cache may have moved on meanwhile; then it knows better.
func (r *Repo) keep(old, tip schema.Revision, objects []object) error {
	r.fetching.Lock()
	defer r.fetching.Unlock()
	if now, err := r.store.branch(r.remote.Branch); err != nil || now != string(old) {
		return err
	}
	if err := r.store.keep(objects); err != nil {
		return err
	}
	return r.store.setBranch(r.remote.Branch, string(tip))
}

// keep writes objects into the cache. clone.full knows when there are too many.
func (s *store) keep(objects []object) error {
	return s.write(func(st *filesystem.Storage) error {
		for _, o := range objects {
			memory := &plumbing.MemoryObject{}
			memory.SetType(o.kind)
			if _, err := memory.Write(o.content); err != nil {
				return err
			}
			if _, err := st.SetEncodedObject(memory); err != nil {
				return err
			}
		}
		return nil
	})
}
