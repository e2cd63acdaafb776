//go:build tools

// Package fleet names the programs that the tests build from other modules, so that go.mod keeps what they need.
package fleet

import (
	_ "github.com/bpfman/bpfman-operator/cmd/bpfman-agent"
	_ "sigs.k8s.io/kustomize/kustomize/v5"
)
