package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

const (
	authorityLife   = 10 * 365 * 24 * time.Hour
	certificateLife = 365 * 24 * time.Hour
	// frontProxy is the API server, as it calls servers behind it.
	frontProxy = "front-proxy-client"
)

// authority signs the cluster's certificates. Its key and that of the service accounts are kept in
// the data directory; the certificates are new at each start, so none grows old.
type authority struct {
	cert    *x509.Certificate
	certPEM []byte
	key     *ecdsa.PrivateKey
}

// keyPair is a certificate and its key, in PEM.
type keyPair struct{ cert, key []byte }

// loadAuthority reads the authority of the data directory, or makes it.
func (d dataDir) loadAuthority() (*authority, error) {
	key, err := d.loadKey("pki/ca.key")
	if err != nil {
		return nil, err
	}
	certPEM, err := d.readFile("pki/ca.crt")
	if err != nil {
		return nil, fmt.Errorf("read certificate authority: %w", err)
	}
	if certPEM == nil {
		certPEM, err = selfSign(key)
		if err != nil {
			return nil, err
		}
		if err := d.writeFile("pki/ca.crt", certPEM); err != nil {
			return nil, err
		}
	}
	ca, err := newAuthority(certPEM, key)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.path("pki/ca.crt"), err)
	}
	return ca, nil
}

func newAuthority(certPEM []byte, key *ecdsa.PrivateKey) (*authority, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, certPEM: certPEM, key: key}, nil
}

// writeFrontProxy makes the certificate by which servers behind the API server know it. Its authority is new at each
// start and signs nothing else: whoever holds such a certificate may speak for all users.
func (d dataDir) writeFrontProxy() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make certificate authority: %w", err)
	}
	certPEM, err := selfSign(key)
	if err != nil {
		return err
	}
	ca, err := newAuthority(certPEM, key)
	if err != nil {
		return err
	}
	proxy, err := ca.client(frontProxy)
	if err != nil {
		return err
	}
	return errors.Join(
		d.writeFile("pki/front-proxy-ca.crt", certPEM),
		d.writeFile("pki/front-proxy-client.crt", proxy.cert),
		d.writeFile("pki/front-proxy-client.key", proxy.key))
}

// loadKey reads an ECDSA P-256 key of the data directory, or makes it.
func (d dataDir) loadKey(name string) (*ecdsa.PrivateKey, error) {
	data, err := d.readFile(name)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if data == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", name, err)
		}
		data, err = encodeKey(key)
		if err != nil {
			return nil, err
		}
		return key, d.writeFile(name, data)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("read %s: no PEM block", d.path(name))
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.path(name), err)
	}
	return key, nil
}

func selfSign(key *ecdsa.PrivateKey) ([]byte, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "devcluster"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	return sign(template, template, &key.PublicKey, key)
}

// server issues a certificate for the names and addresses under which the API server is reached.
func (a *authority) server(names []string, ips []net.IP) (keyPair, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		DNSNames:    names,
		IPAddresses: ips,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
}

// client issues a certificate that Kubernetes reads as this user, in these groups.
func (a *authority) client(user string, groups ...string) (keyPair, error) {
	return a.issue(&x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

func (a *authority) issue(template *x509.Certificate) (keyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return keyPair{}, fmt.Errorf("issue certificate for %s: %w", template.Subject.CommonName, err)
	}
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(certificateLife)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	cert, err := sign(template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return keyPair{}, err
	}
	keyPEM, err := encodeKey(key)
	return keyPair{cert: cert, key: keyPEM}, err
}

func sign(template, parent *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", template.Subject.CommonName, err)
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %s: %w", template.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
