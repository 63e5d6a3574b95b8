package pulls

import (
	"errors"
	"fmt"

	"bayplan.dev/review"
	"bayplan.dev/schema"
)

// statuses say what a plan means for a pull request's head.
func (r *Reviewer) statuses(p PullRequest, plan *review.Plan) []Status {
	validate := Status{Context: r.context(checkValidate), State: Success, URL: p.URL}
	errs := plan.Findings.Errors()
	warnings := len(plan.Findings) - len(errs)
	switch {
	case len(errs) > 0:
		validate.State = Failure
		// A finding's own text is its position.
		validate.Description = plural(len(errs), "error") + ": " + review.Line(errs[0].String()+": "+errs[0].Message)
	case warnings > 0:
		// A finding's own text is its position.
		validate.Description = plural(warnings, "warning")
	default:
		validate.Description = "no findings"
	}
	return []Status{validate, {
		Context: r.context(checkPlan), State: Success, Description: review.Line(plan.Summary.String()), URL: p.URL,
	}}
}

// comment is the text below a pull request. It names both revisions, so that it
// differs exactly when there is something new to say.
func (r *Reviewer) comment(p PullRequest, base schema.Revision, plan *review.Plan) string {
	head := fmt.Sprintf("%s\n<!-- %s..%s -->\n", r.marker(), base, p.Head)
	foot := fmt.Sprintf("Review of `%s`, which left the branch at `%s`. Values that may be secret are not shown.\n", p.Head.Short(), base.Short())
	return head + review.Markdown(plan, review.MarkdownLimit-len(head)-len(foot)) + foot
}

// refused is said of a head that can't be reviewed.
func (r *Reviewer) refused(p PullRequest, why string) result {
	return result{
		statuses: r.both(p, "not reviewed: "+review.Line(why)),
		comment:  fmt.Sprintf("%s\n<!-- %s -->\n### Not reviewed\n\n`%s` is not reviewed: %s\n", r.marker(), p.Head, p.Head.Short(), review.Code(why)),
	}
}

// failed is said of a head that may be reviewed later. Why not now is in the log:
// it isn't the pull request's fault.
func (r *Reviewer) failed(p PullRequest, err error) []Status {
	switch {
	case errors.Is(err, errTooLong):
		return r.both(p, fmt.Sprintf("not reviewed: that took longer than %s; it is tried again", r.options.Timeout))
	case schema.CodeOf(err) == schema.Internal:
		return r.both(p, "not reviewed: the server has a defect, which its log names; it is tried again")
	}
	return r.both(p, "not reviewed: the repository could not be read; it is tried again")
}

// both are the statuses of a head of which nothing is known.
func (r *Reviewer) both(p PullRequest, text string) []Status {
	return []Status{
		{Context: r.context(checkValidate), State: Error, Description: text, URL: p.URL},
		{Context: r.context(checkPlan), State: Error, Description: text, URL: p.URL},
	}
}

// reason is the innermost error with a code: the outer ones say where, which is
// nobody's business but the operator's.
func reason(err error) string {
	text := err.Error()
	for {
		e, ok := errors.AsType[*schema.Error](err)
		if !ok {
			return text
		}
		text, err = e.Error(), e.Err
	}
}

// plural is "1 error" or "2 errors".
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
