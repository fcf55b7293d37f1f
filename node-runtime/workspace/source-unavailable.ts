import { CiError } from '../../shared/errors.ts';

/** A task's own source could not be had, for a reason that may pass: it says nothing about the node that has tried. */
export class SourceUnavailable extends CiError {
  constructor(message: string) {
    super('unavailable', message);
  }
}
