package main

import (
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func newNamespace(t *testing.T, up *running, labels map[string]string) string {
	t.Helper()
	namespace, err := up.client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

func podTemplate(volumes ...corev1.Volume) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "example.com/web"}}, Volumes: volumes},
	}
}

func deploy(t *testing.T, up *running, namespace string) {
	t.Helper()
	_, err := up.client.AppsV1().Deployments(namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(3)),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: podTemplate(),
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "deployment", func() error {
		got, err := up.client.AppsV1().Deployments(namespace).Get(t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got.Status.AvailableReplicas != 3 {
			return fmt.Errorf("%d of 3 replicas are available", got.Status.AvailableReplicas)
		}
		return nil
	})
}

func testDeployment(t *testing.T, up *running) {
	t.Helper()
	namespace := newNamespace(t, up, nil)
	deploy(t, up, namespace)
	err := up.client.AppsV1().Deployments(namespace).Delete(t.Context(), "web", metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationForeground)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "pods", func() error {
		pods, err := up.client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(pods.Items) > 0 {
			return fmt.Errorf("%d are left", len(pods.Items))
		}
		return nil
	})
}

func testNamespace(t *testing.T, up *running) {
	t.Helper()
	namespace := newNamespace(t, up, nil)
	deploy(t, up, namespace)
	if err := up.client.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "namespace", func() error {
		got, err := up.client.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("is still here: %v %w", got.Status.Conditions, err)
	})
}

func testPodSecurity(t *testing.T, up *running) {
	t.Helper()
	namespace := newNamespace(t, up, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "root"}, Spec: podTemplate().Spec}
	eventually(t, "service account", func() error {
		_, err := up.client.CoreV1().ServiceAccounts(namespace).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	_, err := up.client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) {
		t.Fatalf("create a pod that may be root: %v, want forbidden", err)
	}
	wantText(t, err.Error(), "violates PodSecurity")
}

func testClaim(t *testing.T, up *running) {
	t.Helper()
	namespace := newNamespace(t, up, nil)
	claims := up.client.CoreV1().PersistentVolumeClaims(namespace)
	storage := func(size string) corev1.VolumeResourceRequirements {
		return corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}}
	}
	_, err := claims.Create(t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "data"},
		Spec:       corev1.PersistentVolumeClaimSpec{AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Resources: storage("1Gi")},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: podTemplate(corev1.Volume{
		Name:         "data",
		VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}},
	}).Spec}
	eventually(t, "pod", func() error {
		_, err := up.client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{})
		return err
	})
	eventually(t, "pod", func() error {
		got, err := up.client.CoreV1().Pods(namespace).Get(t.Context(), "web", metav1.GetOptions{})
		if err == nil && got.Status.Phase != corev1.PodRunning {
			err = fmt.Errorf("is %s: %v", got.Status.Phase, got.Status.Conditions)
		}
		return err
	})
	wantSize(t, up, namespace, "1Gi")

	claim, err := claims.Get(t.Context(), "data", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	volume := claim.Spec.VolumeName
	claim.Spec.Resources = storage("2Gi")
	if _, err := claims.Update(t.Context(), claim, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	wantSize(t, up, namespace, "2Gi")

	if err := up.client.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "volume", func() error {
		got, err := up.client.CoreV1().PersistentVolumes().Get(t.Context(), volume, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("is still here: %s %w", got.Status.Phase, err)
	})
}

func wantSize(t *testing.T, up *running, namespace, want string) {
	t.Helper()
	eventually(t, "claim", func() error {
		got, err := up.client.CoreV1().PersistentVolumeClaims(namespace).Get(t.Context(), "data", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got.Status.Phase != corev1.ClaimBound || got.Status.Capacity.Storage().Cmp(resource.MustParse(want)) != 0 {
			return fmt.Errorf("is %s with %s, want %s", got.Status.Phase, got.Status.Capacity.Storage(), want)
		}
		return nil
	})
}
