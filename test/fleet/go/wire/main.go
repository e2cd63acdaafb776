// Calls every method of bpfman.v1 by grpc-go, with the code that bpfman's own project generates for it, and prints what it
// gets, a JSON object for each step.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	gobpfman "github.com/bpfman/bpfman/clients/gobpfman/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// Load only reads these; a real one names both.
const program, tracepoint = "on_openat", "syscalls/sys_enter_openat"

func say(step string, facts map[string]any, err error) {
	facts["step"] = step
	facts["code"] = status.Code(err).String()
	if err != nil {
		facts["message"] = status.Convert(err).Message()
	}
	line, _ := json.Marshal(facts)
	fmt.Println(string(line))
}

func main() {
	socket, object := os.Args[1], os.Args[2]
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer connection.Close()
	client := gobpfman.NewBpfmanClient(connection)
	ctx := context.Background()

	checked, err := grpc_health_v1.NewHealthClient(connection).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	say("check", map[string]any{"status": checked.GetStatus().String()}, err)

	loaded, err := client.Load(ctx, &gobpfman.LoadRequest{
		Bytecode: &gobpfman.BytecodeLocation{Location: &gobpfman.BytecodeLocation_File{File: object}},
		Metadata: map[string]string{"bpfman.io/uuid": "wire"},
		Info:     []*gobpfman.LoadInfo{{Name: program, ProgramType: gobpfman.BpfmanProgramType_TRACEPOINT}},
	})
	var id uint32
	for _, each := range loaded.GetPrograms() {
		id = each.GetKernelInfo().GetId()
		say("load", map[string]any{"id": id, "name": each.GetInfo().GetName(), "metadata": each.GetInfo().GetMetadata()}, err)
	}
	if err != nil {
		say("load", map[string]any{}, err)
	}

	attached, err := client.Attach(ctx, &gobpfman.AttachRequest{Id: id, Attach: &gobpfman.AttachInfo{
		Info: &gobpfman.AttachInfo_TracepointAttachInfo{
			TracepointAttachInfo: &gobpfman.TracepointAttachInfo{Tracepoint: tracepoint},
		},
	}})
	say("attach", map[string]any{"link": attached.GetLinkId()}, err)

	got, err := client.Get(ctx, &gobpfman.GetRequest{Id: id}, grpc.UseCompressor(gzip.Name))
	say("get", map[string]any{
		"links": got.GetInfo().GetLinks(), "file": got.GetInfo().GetBytecode().GetFile(), "type": got.GetKernelInfo().GetProgramType(),
	}, err)

	only := true
	listed, err := client.List(ctx, &gobpfman.ListRequest{BpfmanProgramsOnly: &only, MatchMetadata: map[string]string{"bpfman.io/uuid": "wire"}})
	say("list", map[string]any{"programs": len(listed.GetResults())}, err)

	var wait sync.WaitGroup
	var lock sync.Mutex
	codes := map[string]int{}
	for i := 0; i < 500; i++ {
		wait.Add(1)
		go func() {
			defer wait.Done()
			_, err := client.Get(ctx, &gobpfman.GetRequest{Id: id})
			lock.Lock()
			defer lock.Unlock()
			codes[status.Code(err).String()]++
		}()
	}
	wait.Wait()
	say("parallel", map[string]any{"codes": codes}, nil)

	_, err = client.PullBytecode(ctx, &gobpfman.PullBytecodeRequest{Image: &gobpfman.BytecodeImage{Url: "Größe:x:y"}})
	say("pull", map[string]any{}, err)
	late, cancel := context.WithTimeout(ctx, time.Nanosecond)
	_, err = client.Get(late, &gobpfman.GetRequest{Id: id})
	cancel()
	say("late", map[string]any{}, err)

	_, err = client.Detach(ctx, &gobpfman.DetachRequest{LinkId: attached.GetLinkId()})
	say("detach", map[string]any{}, err)
	_, err = client.Unload(ctx, &gobpfman.UnloadRequest{Id: id})
	say("unload", map[string]any{}, err)
	_, err = client.Get(ctx, &gobpfman.GetRequest{Id: id})
	say("gone", map[string]any{}, err)
}
