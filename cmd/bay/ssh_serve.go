package main

import (
	"cmp"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"

	"bayplan.dev/webhook"
)

// openGateway makes the SSH gateway, where one is wanted.
func (s *server) openGateway() (err error) {
	if s.listeners.ssh == nil {
		return nil
	}
	s.ssh, err = sshGateway{
		config: s.config.SSH, fleet: s.loop.Fleet, access: s.access, log: s.log, registerer: s.registry,
	}.server()
	return err
}

// sshAddress is where the gateway is reached from outside, or nil.
func (s *server) sshAddress() *webhook.SSHGateway {
	if s.ssh == nil {
		return nil
	}
	port := s.config.SSH.Port
	if address, ok := s.listeners.ssh.Addr().(*net.TCPAddr); ok {
		port = cmp.Or(port, address.Port)
	}
	found := &webhook.SSHGateway{Host: s.config.SSH.Host, Port: port}
	for _, key := range s.ssh.HostKeys() {
		found.HostKeys = append(found.HostKeys, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))))
	}
	return found
}
