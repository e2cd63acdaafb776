/*
 * The floor of what bpfman does: the same bpf(2) calls through libbpf, with nothing recorded, checked or locked.
 *
 *   floor load OBJECT PROGRAM PIN       loads that program of the object, and pins it
 *   floor load-all OBJECT DIRECTORY     loads all of them, and pins them there
 *   floor attach PIN INTERFACE LINKPIN  attaches it to TCX ingress, and pins the link
 *   floor detach LINKPIN                removes the pin, and detaches the link
 *   floor unload PIN...
 *   floor get ID
 *   floor list                          all programs of the kernel
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failed(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	return 1;
}

static int load(const char *path, const char *name, const char *pin)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;

	if (!object)
		return failed(path);
	bpf_object__for_each_program(program, object) {
		bpf_program__set_autoload(program, strcmp(bpf_program__name(program), name) == 0);
		bpf_program__set_type(program, BPF_PROG_TYPE_SCHED_CLS);
	}
	program = bpf_object__find_program_by_name(object, name);
	if (!program)
		return failed(name);
	if (bpf_object__load(object))
		return failed("load");
	return bpf_program__pin(program, pin) ? failed(pin) : 0;
}

static int load_all(const char *path, const char *directory)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);

	if (!object)
		return failed(path);
	if (bpf_object__load(object))
		return failed("load");
	return bpf_object__pin_programs(object, directory) ? failed(directory) : 0;
}

/* Debian 12's libbpf has no bpf_program__attach_tcx, and its headers may lack BPF_TCX_INGRESS. */
#define TCX_INGRESS 46

static int attach(const char *pin, const char *interface, const char *link_pin)
{
	int program = bpf_obj_get(pin);
	int link;

	if (program < 0)
		return failed(pin);
	link = bpf_link_create(program, if_nametoindex(interface), TCX_INGRESS, NULL);
	if (link < 0)
		return failed("attach");
	return bpf_obj_pin(link, link_pin) ? failed(link_pin) : 0;
}

static int detach(const char *pin)
{
	int link = bpf_obj_get(pin);

	if (link < 0)
		return failed(pin);
	if (unlink(pin) || bpf_link_detach(link))
		return failed("detach");
	return close(link);
}

static int show(__u32 id)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);
	int program = bpf_prog_get_fd_by_id(id);

	if (program < 0 || bpf_obj_get_info_by_fd(program, &info, &size))
		return failed("get");
	printf("%u %s %u %u\n", info.id, info.name, info.type, info.xlated_prog_len);
	return close(program);
}

static int list(void)
{
	__u32 id = 0;

	while (bpf_prog_get_next_id(id, &id) == 0)
		if (show(id))
			return 1;
	return errno == ENOENT ? 0 : failed("list");
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "";

	if (argc == 5 && strcmp(command, "load") == 0)
		return load(argv[2], argv[3], argv[4]);
	if (argc == 4 && strcmp(command, "load-all") == 0)
		return load_all(argv[2], argv[3]);
	if (argc == 5 && strcmp(command, "attach") == 0)
		return attach(argv[2], argv[3], argv[4]);
	if (argc == 3 && strcmp(command, "detach") == 0)
		return detach(argv[2]);
	if (argc > 2 && strcmp(command, "unload") == 0) {
		for (int i = 2; i < argc; i++)
			if (unlink(argv[i]))
				return failed(argv[i]);
		return 0;
	}
	if (argc == 3 && strcmp(command, "get") == 0)
		return show(atoi(argv[2]));
	if (argc == 2 && strcmp(command, "list") == 0)
		return list();
	fprintf(stderr, "floor: load, load-all, attach, detach, unload, get, or list\n");
	return 2;
}
