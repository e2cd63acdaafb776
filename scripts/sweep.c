// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Shows what plain libbpf does with an object file: `sweep FILE` loads each program by itself and prints a line for it:
 * name, section, "ok" with type and tag or "failed" with the errno, and libbpf's last warning, separated by tabs.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char last[512];

static int keep_last(enum libbpf_print_level level, const char *format, va_list args)
{
	/* libbpf's closing warning has no information. */
	if (level == LIBBPF_WARN && !strstr(format, "failed to load object")) {
		vsnprintf(last, sizeof(last), format, args);
		for (char *at = last; *at; at++)
			if (*at == '\n' || *at == '\t')
				*at = ' ';
	}
	return 0;
}

static struct bpf_object *open_for(const char *path, size_t number, struct bpf_program **found)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	struct bpf_map *map;
	size_t index = 0;

	if (!object)
		return NULL;
	bpf_object__for_each_program(program, object) {
		bpf_program__set_autoload(program, index == number);
		if (index++ == number)
			*found = program;
	}
	/* Nothing may outlive the process. */
	bpf_object__for_each_map(map, object)
		bpf_map__set_pin_path(map, NULL);
	return object;
}

static void load_one(const char *path, size_t number)
{
	struct bpf_program *program = NULL;
	struct bpf_prog_info info = {};
	__u32 length = sizeof(info);
	struct bpf_object *object;
	int result;

	object = open_for(path, number, &program);
	if (!object || !program)
		return;
	last[0] = '\0';
	printf("%s\t%s\t", bpf_program__name(program), bpf_program__section_name(program));
	result = bpf_object__load(object);
	if (result == 0 && bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length) == 0) {
		printf("ok\t%u\t", info.type);
		for (size_t i = 0; i < sizeof(info.tag); i++)
			printf("%02x", info.tag[i]);
		printf("\n");
	} else {
		printf("failed\t%d\t%s\n", -result, last);
	}
	bpf_object__close(object);
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	struct bpf_program *program;
	size_t count = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: sweep FILE\n");
		return 2;
	}
	libbpf_set_print(keep_last);
	object = bpf_object__open_file(argv[1], NULL);
	if (!object) {
		fprintf(stderr, "%s\n", last[0] ? last : strerror(errno));
		return 1;
	}
	bpf_object__for_each_program(program, object)
		count++;
	bpf_object__close(object);
	for (size_t i = 0; i < count; i++)
		load_one(argv[1], i);
	return 0;
}
