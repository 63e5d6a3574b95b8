package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	provisioner           = "bayplan.dev/simulated"
	provisionerAnnotation = "volume.kubernetes.io/storage-provisioner"
	provisionedAnnotation = "pv.kubernetes.io/provisioned-by"
	// storageSweep repeats what an error left undone.
	storageSweep = 5 * time.Second
)

// storage plays the provisioner of the default class: it makes a volume for each claim that the controller manager
// hands over, lets claims grow, and deletes what was released. Simulated volumes store no byte; those of a real node
// are folders, which nothing keeps from growing beyond their size.
type storage struct {
	kind     nodeKind
	folder   string // holds the volumes of a real node
	client   kubernetes.Interface
	progress *progress
	informer informers.SharedInformerFactory
	claims   corelisters.PersistentVolumeClaimLister
	volumes  corelisters.PersistentVolumeLister
	wake     chan struct{}
}

func newStorage(c *cluster) *storage {
	factory := informers.NewSharedInformerFactory(c.client, 0)
	s := &storage{
		kind:     c.node,
		folder:   c.dir.path("node", volumesFolder),
		client:   c.client,
		progress: c.progress,
		informer: factory,
		claims:   factory.Core().V1().PersistentVolumeClaims().Lister(),
		volumes:  factory.Core().V1().PersistentVolumes().Lister(),
		wake:     make(chan struct{}, 1),
	}
	look := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { s.look() },
		UpdateFunc: func(any, any) { s.look() },
	}
	_, _ = factory.Core().V1().PersistentVolumeClaims().Informer().AddEventHandler(look)
	_, _ = factory.Core().V1().PersistentVolumes().Informer().AddEventHandler(look)
	return s
}

func (s *storage) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run looks at all claims and volumes whenever one changed, until ctx ends.
func (s *storage) run(ctx context.Context) {
	s.informer.Start(ctx.Done())
	s.informer.WaitForCacheSync(ctx.Done())
	sweep := time.NewTicker(storageSweep)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			s.informer.Shutdown()
			return
		case <-s.wake:
		case <-sweep.C:
		}
		s.once(ctx)
	}
}

func (s *storage) once(ctx context.Context) {
	claims, _ := s.claims.List(labels.Everything()) // a lister reads memory: it cannot fail
	for _, claim := range claims {
		s.report(ctx, s.serve(ctx, claim), "claim "+claim.Namespace+"/"+claim.Name)
	}
	volumes, _ := s.volumes.List(labels.Everything())
	for _, volume := range volumes {
		s.report(ctx, s.reclaim(ctx, volume), "volume "+volume.Name)
	}
}

// report leaves out what the next look mends: the caches are a little behind.
func (s *storage) report(ctx context.Context, err error, what string) {
	if err == nil || ctx.Err() != nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) || apierrors.IsAlreadyExists(err) {
		return
	}
	s.progress.printf("storage: %s: %v", what, err)
}

// serve makes the volume of a claim, or lets it grow.
func (s *storage) serve(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	switch {
	case claim.Annotations[provisionerAnnotation] != provisioner || claim.DeletionTimestamp != nil:
		return nil
	case claim.Spec.VolumeName == "":
		if _, err := s.volumes.Get(volumeName(claim)); err == nil {
			return nil
		}
		if err := s.makeFolder(claim); err != nil {
			return err
		}
		_, err := s.client.CoreV1().PersistentVolumes().Create(ctx, s.volume(claim), metav1.CreateOptions{})
		return err
	case claim.Status.Phase == corev1.ClaimBound && claim.Status.Capacity.Storage().Cmp(*claim.Spec.Resources.Requests.Storage()) < 0:
		return s.grow(ctx, claim)
	}
	return nil
}

func (s *storage) grow(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	cached, err := s.volumes.Get(claim.Spec.VolumeName)
	if err != nil {
		return err
	}
	size := *claim.Spec.Resources.Requests.Storage()
	if cached.Spec.Capacity.Storage().Cmp(size) < 0 {
		volume := cached.DeepCopy()
		volume.Spec.Capacity[corev1.ResourceStorage] = size
		if _, err := s.client.CoreV1().PersistentVolumes().Update(ctx, volume, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	claim = claim.DeepCopy()
	claim.Status.Capacity[corev1.ResourceStorage] = size
	claim.Status.Conditions = nil
	_, err = s.client.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(ctx, claim, metav1.UpdateOptions{})
	return err
}

// reclaim deletes a volume whose claim is gone; the controller manager leaves that to the provisioner.
func (s *storage) reclaim(ctx context.Context, volume *corev1.PersistentVolume) error {
	if volume.Annotations[provisionedAnnotation] != provisioner ||
		volume.Status.Phase != corev1.VolumeReleased ||
		volume.Spec.PersistentVolumeReclaimPolicy != corev1.PersistentVolumeReclaimDelete ||
		volume.DeletionTimestamp != nil {
		return nil
	}
	if s.kind == realKind {
		if err := os.RemoveAll(filepath.Join(s.folder, volume.Name)); err != nil {
			return err
		}
	}
	return s.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
}

func volumeName(claim *corev1.PersistentVolumeClaim) string { return "pvc-" + string(claim.UID) }

// makeFolder makes the folder of a claim on a real node. Whoever runs in the Pod may write to it, as to a new disk
// whose root a driver has given to the Pod's group.
func (s *storage) makeFolder(claim *corev1.PersistentVolumeClaim) error {
	if s.kind != realKind {
		return nil
	}
	folder := filepath.Join(s.folder, volumeName(claim))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	return os.Chmod(folder, 0o777) //nolint:gosec // it is in a folder that only root enters
}

// volume is of the kind "local". A simulated one has a path that does not exist: nothing attaches or mounts it, and
// only simulated nodes take it.
func (s *storage) volume(claim *corev1.PersistentVolumeClaim) *corev1.PersistentVolume {
	path, label, value := "/simulated/"+volumeName(claim), simulatedLabel, "true"
	labels := map[string]string{simulatedLabel: "true"}
	if s.kind == realKind {
		path, label, value = filepath.Join(nodeFolder, volumesFolder, volumeName(claim)), corev1.LabelHostname, realNode
		labels = nil
	}
	class := ""
	if claim.Spec.StorageClassName != nil {
		class = *claim.Spec.StorageClassName
	}
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name:        volumeName(claim),
			Labels:      labels,
			Annotations: map[string]string{provisionedAnnotation: provisioner},
		},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: *claim.Spec.Resources.Requests.Storage()},
			AccessModes:                   claim.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              class,
			VolumeMode:                    claim.Spec.VolumeMode,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim",
				Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: label, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}},
			}}}},
		},
	}
}
