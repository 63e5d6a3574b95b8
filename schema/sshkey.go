package schema

// SSHKey is one kind: SSHKey document.
type SSHKey struct {
	User User
	Name string
	// PublicKey is the key as x/crypto/ssh marshals it: type and base64, no options, no comment.
	PublicKey string
	// Fingerprint is "SHA256:" and the unpadded base64 of the key's hash.
	Fingerprint string
	Source      Position
	Hash        string
}
