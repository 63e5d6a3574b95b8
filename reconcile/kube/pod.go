package kube

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// claimSeparator can't occur in the name of a claim.
const claimSeparator = ","

// crashes is the number of restarts from which a crash loop counts as one.
const crashes = 2

// settling is how long the first conditions of a Pod may lie apart, whose times
// are in whole seconds.
const settling = 2 * time.Second

// podDetail is what is kept of a Pod.
type podDetail struct {
	created   int64
	node      string
	scheduled bool
	ready     bool
	wasReady  bool
	terminal  bool
	// ended is true when no container of the Pod will run again.
	ended bool
	// running is true while something can be run in the Pod's container.
	running  bool
	restarts int32
	reason   string
	message  string
	// unschedulable is since when no node was found, in seconds since 1970, or 0.
	unschedulable int64
	// claims are the names of the mounted claims.
	claims string
	// maker is the ReplicaSet that made the Pod; empty for any other.
	maker    string
	makerUID types.UID
}

func podDetailOf(o object) any {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return nil
	}
	d := podDetail{
		created: pod.CreationTimestamp.Unix(),
		node:    shared(pod.Spec.NodeName),
		ended:   pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed,
		claims:  claimsOf(pod),
	}
	if owner := metav1.GetControllerOf(pod); owner != nil && owner.Kind == replicaSets.gvk.Kind {
		d.maker, d.makerUID = owner.Name, owner.UID
	}
	for _, c := range pod.Status.Conditions {
		d.condition(pod, c)
	}
	for _, s := range pod.Status.ContainerStatuses {
		d.restarts += s.RestartCount
		d.running = d.running || s.State.Running != nil
	}
	d.explain(pod)
	d.reason, d.message = shared(d.reason), shared(d.message)
	return d
}

func claimsOf(pod *corev1.Pod) string {
	var names []string
	for _, v := range pod.Spec.Volumes {
		if v.PersistentVolumeClaim != nil {
			names = append(names, v.PersistentVolumeClaim.ClaimName)
		}
	}
	return shared(strings.Join(names, claimSeparator))
}

func (d *podDetail) condition(pod *corev1.Pod, c corev1.PodCondition) {
	switch c.Type {
	case corev1.PodScheduled:
		d.scheduled = c.Status == corev1.ConditionTrue
		if !d.scheduled && c.Reason == corev1.PodReasonUnschedulable {
			d.unschedulable = c.LastTransitionTime.Unix()
			d.reason, d.message = c.Reason, c.Message
		}
	case corev1.PodReady:
		d.ready = c.Status == corev1.ConditionTrue
		// The condition is false from the Pod's start on; a later transition to
		// false means that it was true in between.
		start := pod.Status.StartTime
		d.wasReady = d.ready || (start != nil && c.LastTransitionTime.After(start.Add(settling)))
	default:
	}
}

// explain finds the first thing that keeps the Pod from running.
func (d *podDetail) explain(pod *corev1.Pod) {
	if pod.Status.Reason != "" {
		d.reason, d.message = pod.Status.Reason, pod.Status.Message
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		if slices.ContainsFunc(list, d.explainContainer) {
			return
		}
	}
}

// explainContainer says whether the container is what holds the Pod up.
func (d *podDetail) explainContainer(s corev1.ContainerStatus) bool {
	switch {
	case s.State.Waiting != nil && s.State.Waiting.Reason != "":
		w := s.State.Waiting
		switch w.Reason {
		case "ContainerCreating", "PodInitializing":
			return false
		}
		d.reason, d.message = w.Reason, w.Message
		if last := s.LastTerminationState.Terminated; last != nil && w.Reason == "CrashLoopBackOff" {
			d.ending(last)
			d.reason = w.Reason
			d.message += "; " + w.Message
			if last.Reason == reasonOOM {
				d.reason = last.Reason
			}
		}
		d.terminal = terminal(w, s.RestartCount) || d.reason == reasonOOM
		return true
	case s.State.Terminated != nil && s.State.Terminated.Reason != "Completed":
		d.ending(s.State.Terminated)
		d.terminal = d.reason == reasonOOM || d.ended || s.RestartCount >= crashes
		return true
	}
	return false
}

const reasonOOM = "OOMKilled"

// ending tells how a container ended.
func (d *podDetail) ending(t *corev1.ContainerStateTerminated) {
	d.reason = t.Reason
	d.message = fmt.Sprintf("exit code %d", t.ExitCode)
	if t.Signal != 0 {
		d.message = fmt.Sprintf("signal %d", t.Signal)
	}
	if t.Message != "" {
		d.message += ": " + t.Message
	}
}

// terminal says whether waiting can't help.
func terminal(w *corev1.ContainerStateWaiting, restarts int32) bool {
	switch w.Reason {
	case "ErrImagePull", "ImagePullBackOff":
		return hopeless(w.Message)
	case "CrashLoopBackOff":
		return restarts >= crashes
	case "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return true
	}
	return false
}

// hopeless says whether a registry has answered, and the answer was no. A
// registry that doesn't answer may do so later.
func hopeless(message string) bool {
	message = strings.ToLower(message)
	for _, answer := range []string{"not found", "manifest unknown", "denied", "unauthorized", "forbidden", "does not exist", "no match for platform", "invalid reference"} {
		if strings.Contains(message, answer) {
			return true
		}
	}
	return false
}
