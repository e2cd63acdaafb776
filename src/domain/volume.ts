/** A volume: a BPF file system with the maps of a program, for a container that is to read them. */
export interface VolumeRecord {
  /** Whoever publishes it gives it. */
  readonly id: string;
  /** The directory on which it is mounted. */
  readonly targetPath: string;
  /** Value of the metadata {@link VOLUME_PROGRAM_KEY} of the programs whose maps it has. */
  readonly program: string;
  /** Names of the maps, ascending. */
  readonly maps: readonly string[];
  /** Nothing can be pinned or removed there. */
  readonly readOnly: boolean;
  /** Number of the group that may use the maps; null if only root may. */
  readonly group: number | null;
  /** Of its file system, as `stat` reports it; null before that is mounted. */
  readonly device: number | null;
}

/** The metadata key by which a volume names programs. */
export const VOLUME_PROGRAM_KEY = "bpfman.io/ProgramName";
