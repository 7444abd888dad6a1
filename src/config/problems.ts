/** What is wrong with a configuration: every problem with its place and a remedy, all reported together. */
import { HoldfastError } from '../base/errors.ts';

export interface Place {
  /** Counted from 1; 0 for what is in no file. */
  readonly line: number;
  readonly column: number;
}

export interface Problem extends Place {
  readonly level: 'error' | 'warning';
  /** Present where a caller treats this kind of warning by itself. */
  readonly kind?: 'clear-secret';
  readonly file: string;
  /** As in `sources.tracker.policy`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  readonly remedy: string;
}

/** `config.invalid` with the structured list, for faces that show it their own way. */
export class ConfigError extends HoldfastError {
  readonly problems: readonly Problem[];

  constructor(
    file: string,
    problems: readonly Problem[],
    remedy = 'Correct the file, then check it with: holdfast validate',
  ) {
    const errors = problems.filter((problem) => problem.level === 'error').length;
    const count = errors === 1 ? 'an error' : `${errors} errors`;
    super({
      code: 'config.invalid',
      message: `${file} has ${count}\n${problems.map(formatProblem).join('\n')}`,
      remedy,
    });
    this.problems = problems;
  }
}

/** Two lines: place, path and what is wrong; then what to do. */
export function formatProblem(problem: Problem): string {
  const place = problem.line === 0 ? problem.file : `${problem.file}:${problem.line}:${problem.column}`;
  const path = problem.path === '' ? '' : ` ${problem.path}`;
  return `${place}: ${problem.level}:${path} ${problem.message}\n    ${problem.remedy}`;
}

export type ConfigPath = readonly (string | number)[];

/** `sources.tracker.paths[2]`; names that are not plain words are quoted. */
export function formatPath(path: ConfigPath): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    const word = /^[\w-]+$/.test(step) ? step : JSON.stringify(step);
    return text === '' ? word : `${text}.${word}`;
  }, '');
}
