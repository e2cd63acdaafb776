export const LOG_LEVELS = ["off", "error", "warn", "info", "debug", "trace"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Messages for the operator, written only to stderr. */
export interface LogPort {
  /** Messages less severe than this are dropped. Without it, none are. */
  readonly level?: LogLevel;
  error(message: string, facts?: Readonly<Record<string, unknown>>): void;
  warn(message: string, facts?: Readonly<Record<string, unknown>>): void;
  info(message: string, facts?: Readonly<Record<string, unknown>>): void;
  debug(message: string, facts?: Readonly<Record<string, unknown>>): void;
}

export type Severity = Exclude<keyof LogPort, "level">;

/** Reports whether a log of that level keeps such messages. */
export const isHeard = (severity: Severity, level: LogLevel): boolean =>
  LOG_LEVELS.indexOf(severity) <= LOG_LEVELS.indexOf(level);
