// Decodes the documents of a YAML stream on standard input into the types of Kubernetes and of bpfman-operator, and fails at
// the first field that they do not have, is given twice, or has another type. Prints kind and name of each.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	operator "github.com/bpfman/bpfman-operator/apis/v1alpha1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

func run() error {
	types := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, operator.Install, apiextensions.AddToScheme} {
		if err := add(types); err != nil {
			return err
		}
	}
	decoder := serializer.NewCodecFactory(types, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewDocumentDecoder(os.Stdin)
	buffer := make([]byte, 4<<20)
	for {
		size, err := documents.Read(buffer)
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		object, kind, err := decoder.Decode(buffer[:size], nil, nil)
		if err != nil {
			return fmt.Errorf("%w in:\n%s", err, buffer[:size])
		}
		named, err := meta.Accessor(object)
		if err != nil {
			return err
		}
		fmt.Println(kind.Kind, named.GetName())
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
