// Made by scripts/generate-layouts.ts from the kernel's BTF and libbpf's header. Do not edit.
// Offsets and sizes in bytes; the size of a struct ends with the last field used here.

/** struct statx */
export const STATX = {
  fields: {
    stx_nlink: { offset: 16, size: 4 },
    stx_uid: { offset: 20, size: 4 },
    stx_mode: { offset: 28, size: 2 },
    stx_ino: { offset: 32, size: 8 },
    stx_size: { offset: 40, size: 8 },
    stx_ctime: { offset: 96, size: 16 },
    stx_mtime: { offset: 112, size: 16 },
    stx_dev_major: { offset: 136, size: 4 },
    stx_dev_minor: { offset: 140, size: 4 },
  },
  size: 144,
} as const;

/** struct statfs */
export const STATFS = {
  fields: {
    f_type: { offset: 0, size: 8 },
    f_bsize: { offset: 8, size: 8 },
    f_bavail: { offset: 32, size: 8 },
  },
  size: 40,
} as const;

/** struct linux_dirent64 */
export const DIRENT = {
  fields: {
    d_reclen: { offset: 16, size: 2 },
    d_name: { offset: 19, size: 0 },
  },
  size: 19,
} as const;
