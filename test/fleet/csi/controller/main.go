// The rest of a plugin for csi-sanity, which publishes only volumes that a controller has made. Those of bpfman are made by
// nobody: Kubernetes writes their attributes into a pod. What concerns a node goes on to bpfman.
//
// controller SOCKET BPFMANS_SOCKET PROGRAM MAPS
package main

import (
	"context"
	"log"
	"net"
	"os"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

type plugin struct {
	csi.UnimplementedControllerServer
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer
	identity   csi.IdentityClient
	node       csi.NodeClient
	attributes map[string]string
}

func (p plugin) GetPluginInfo(ctx context.Context, request *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return p.identity.GetPluginInfo(ctx, request)
}

func (p plugin) Probe(ctx context.Context, request *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return p.identity.Probe(ctx, request)
}

func (p plugin) GetPluginCapabilities(ctx context.Context, request *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	answer, err := p.identity.GetPluginCapabilities(ctx, request)
	if err != nil {
		return nil, err
	}
	service := &csi.PluginCapability_Service{Type: csi.PluginCapability_Service_CONTROLLER_SERVICE}
	answer.Capabilities = append(answer.Capabilities, &csi.PluginCapability{Type: &csi.PluginCapability_Service_{Service: service}})
	return answer, nil
}

func (p plugin) NodeGetInfo(ctx context.Context, request *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return p.node.NodeGetInfo(ctx, request)
}

func (p plugin) NodeGetCapabilities(ctx context.Context, request *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return p.node.NodeGetCapabilities(ctx, request)
}

func (p plugin) NodePublishVolume(ctx context.Context, request *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	return p.node.NodePublishVolume(ctx, request)
}

func (p plugin) NodeUnpublishVolume(ctx context.Context, request *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	return p.node.NodeUnpublishVolume(ctx, request)
}

func (p plugin) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	rpc := &csi.ControllerServiceCapability_RPC{Type: csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME}
	capability := &csi.ControllerServiceCapability{Type: &csi.ControllerServiceCapability_Rpc{Rpc: rpc}}
	return &csi.ControllerGetCapabilitiesResponse{Capabilities: []*csi.ControllerServiceCapability{capability}}, nil
}

func (p plugin) CreateVolume(_ context.Context, request *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	if request.Name == "" || len(request.VolumeCapabilities) == 0 {
		return nil, status.Error(codes.InvalidArgument, "name and capabilities are needed")
	}
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{VolumeId: request.Name, VolumeContext: p.attributes}}, nil
}

func (p plugin) DeleteVolume(context.Context, *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	return &csi.DeleteVolumeResponse{}, nil
}

func main() {
	connection, err := grpc.NewClient("unix:"+os.Args[2], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	all := plugin{
		identity:   csi.NewIdentityClient(connection),
		node:       csi.NewNodeClient(connection),
		attributes: map[string]string{"csi.bpfman.io/program": os.Args[3], "csi.bpfman.io/maps": os.Args[4]},
	}
	server := grpc.NewServer()
	csi.RegisterIdentityServer(server, all)
	csi.RegisterControllerServer(server, all)
	csi.RegisterNodeServer(server, all)
	log.Fatal(server.Serve(listener))
}
