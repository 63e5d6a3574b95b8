package kube

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"bayplan.dev/schema"
)

// wrap gives an error of the API server its code.
func (c *client) wrap(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*schema.Error](err); ok {
		return err
	}
	code := codeOf(err)
	if code == schema.Unavailable && !isStatus(err) {
		return schema.Errorf(code, "API server %s: %w", c.host, err)
	}
	return schema.Errorf(code, "%w", err)
}

func codeOf(err error) schema.Code {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return schema.Unavailable
	case apierrors.IsForbidden(err):
		return forbidden(err)
	case apierrors.IsUnauthorized(err):
		return schema.Forbidden
	case apierrors.IsNotFound(err), apierrors.IsGone(err):
		return schema.NotFound
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return schema.Conflict
	case unavailable(err):
		return schema.Unavailable
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err), apierrors.IsUnsupportedMediaType(err):
		return schema.Invalid
	}
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok && status.ErrStatus.Code < 500 {
		return schema.Invalid
	}
	return schema.Unavailable
}

// forbidden tells apart the three things that the API server calls Forbidden:
// a used up quota, a missing right, and what admission refuses. Only the words
// differ (apiserver/pkg/endpoints/handlers/responsewriters and
// plugin/pkg/admission/resourcequota).
func forbidden(err error) schema.Code {
	text := err.Error()
	switch {
	case strings.Contains(text, "exceeded quota:"), strings.Contains(text, "status unknown for quota:"):
		return schema.Exceeded
	case strings.Contains(text, `User "`) && strings.Contains(text, " cannot "):
		return schema.Forbidden
	}
	return schema.Invalid
}

func unavailable(err error) bool {
	if apierrors.IsTooManyRequests(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) || apierrors.IsUnexpectedServerError(err) {
		return true
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, syscall.ECONNREFUSED) {
		return true
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}

// supplanted says whether a request failed because another object than the one
// of its uid is at the place, or none. The API server calls the first an
// invalid change of the uid, the second a conflict.
func supplanted(err error) bool {
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return true
	}
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || status.ErrStatus.Details == nil {
		return false
	}
	return slices.ContainsFunc(status.ErrStatus.Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "metadata.uid" })
}

func isStatus(err error) bool {
	_, ok := errors.AsType[*apierrors.StatusError](err)
	return ok
}

// foreign is the refusal to touch what isn't ours.
func foreign(p place, id schema.SpaceID) error {
	return schema.Errorf(schema.Conflict, "Foreign: %s exists and isn't owned by the space %s (annotation %s); nothing foreign is changed or adopted: delete or rename it",
		p, id, schema.AnnotationOwner)
}

// goesAway says that something must be gone before it can be made anew.
func goesAway(p place) error {
	return schema.Errorf(schema.Unavailable, "%s is being deleted", p)
}

// during says what was done when err happened.
func during(verb string, p place, err error) error { return fmt.Errorf("%s %s: %w", verb, p, err) }
