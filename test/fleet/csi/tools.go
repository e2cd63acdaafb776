//go:build tools

// Programs of others that are built from this module, at the versions that it pins.
package tools

import _ "github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity"
