package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	engineNamespace = "engine"
	engineUser      = "engine"
	// flowPrefix begins the names of the FlowSchemas that count requests.
	flowPrefix = "engine-"
)

// verbs are counted each; everything else is "other".
func verbs() []string {
	return []string{"get", "list", "watch", "create", "patch", "update", "delete", "deletecollection"}
}

// addEngineUser makes a service account that may do everything, and a
// FlowSchema for each verb that only its requests match: the API server then
// counts what the engine sends apart from what the controllers send.
func (c *cluster) addEngineUser(ctx context.Context) error {
	meta := metav1.ObjectMeta{Name: engineUser, Namespace: engineNamespace}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: engineNamespace}}
	if _, err := c.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil {
		return err
	}
	if _, err := c.client.CoreV1().ServiceAccounts(engineNamespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
		return err
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: engineUser},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: engineNamespace, Name: engineUser}},
	}
	if _, err := c.client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return err
	}
	for i, verb := range append(verbs(), "other") {
		if _, err := c.client.FlowcontrolV1().FlowSchemas().Create(ctx, flowSchema(int32(i), verb), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	if err := c.writeEngineConfig(ctx); err != nil {
		return err
	}
	return c.awaitCounting(ctx)
}

func flowSchema(i int32, verb string) *flowcontrolv1.FlowSchema {
	rule := flowcontrolv1.PolicyRulesWithSubjects{
		Subjects: []flowcontrolv1.Subject{{
			Kind:           flowcontrolv1.SubjectKindServiceAccount,
			ServiceAccount: &flowcontrolv1.ServiceAccountSubject{Namespace: engineNamespace, Name: engineUser},
		}},
		ResourceRules: []flowcontrolv1.ResourcePolicyRule{{
			Verbs: []string{verb}, APIGroups: []string{"*"}, Resources: []string{"*"}, ClusterScope: true, Namespaces: []string{"*"},
		}},
	}
	if verb == "other" {
		rule.ResourceRules[0].Verbs = []string{"*"}
		rule.NonResourceRules = []flowcontrolv1.NonResourcePolicyRule{{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}}
	}
	return &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: flowPrefix + verb},
		Spec: flowcontrolv1.FlowSchemaSpec{
			// The level that service accounts have without these schemas.
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: "workload-low"},
			MatchingPrecedence:         500 + i,
			DistinguisherMethod:        &flowcontrolv1.FlowDistinguisherMethod{Type: flowcontrolv1.FlowDistinguisherMethodByUserType},
			Rules:                      []flowcontrolv1.PolicyRulesWithSubjects{rule},
		},
	}
}

// writeEngineConfig writes the kubeconfig of the service account.
func (c *cluster) writeEngineConfig(ctx context.Context) error {
	token, err := c.client.CoreV1().ServiceAccounts(engineNamespace).CreateToken(ctx, engineUser, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64((24 * time.Hour).Seconds()))},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["bench"] = &clientcmdapi.Cluster{Server: c.config.Host, CertificateAuthorityData: c.config.CAData, CertificateAuthority: c.config.CAFile}
	config.AuthInfos["bench"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	config.Contexts["bench"] = &clientcmdapi.Context{Cluster: "bench", AuthInfo: "bench"}
	config.CurrentContext = "bench"
	c.engineConfig = filepath.Join(c.dir, "engine.kubeconfig")
	return clientcmd.WriteToFile(*config, c.engineConfig)
}

// awaitCounting waits until the API server counts what the user sends.
func (c *cluster) awaitCounting(ctx context.Context) error {
	config, err := clientConfig(c.engineConfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return poll(ctx, 30*time.Second, 100*time.Millisecond, func() (bool, error) {
		// Until the binding is known it may be refused.
		if _, err := client.CoreV1().Namespaces().Get(ctx, engineNamespace, metav1.GetOptions{}); err != nil {
			return false, nil //nolint:nilerr // asked again
		}
		r, err := c.requests(ctx)
		return r["get"] > 0, err
	})
}

// poll asks until ok.
func poll(ctx context.Context, limit, every time.Duration, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		done, err := ok()
		if done || err != nil {
			return err
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return fmt.Errorf("not seen within %s: %w", limit, ctx.Err())
		}
	}
}
