import { html, nothing, type TemplateResult } from 'lit';
import type { Thumb } from './viewport.ts';

/** More lines than this are not marked one by one. */
const MOST_MARKS = 1000;

export interface ScrollBarOptions {
  readonly thumb: () => Thumb;
  /** The thumb was pulled so that it begins there. */
  readonly onPulled: (start: number) => void;
  readonly onReleased: () => void;
}

/** The scroll bar. Its track is all the bytes of a log, whatever part of them is at hand. */
export class ScrollBar {
  readonly #options: ScrollBarOptions;
  /** Where on the thumb it was taken hold of; undefined: it is not. */
  #grip: number | undefined;

  constructor(options: ScrollBarOptions) {
    this.#options = options;
  }

  /** @param found offsets that are marked on the track */
  render(found: readonly number[], size: number): TemplateResult {
    const { start, length } = this.#options.thumb();
    const style = `top: ${(start * 100).toFixed(3)}%; height: ${(length * 100).toFixed(3)}%`;
    const stride = Math.ceil(found.length / MOST_MARKS) || 1;
    const marks = found.filter((_, i) => i % stride === 0).map(offset => `top: ${((offset / size) * 100).toFixed(2)}%`);
    return html`<div class="track" aria-hidden="true" @pointerdown=${this.#take} @pointermove=${this.#pull} @pointerup=${this.#release} @pointercancel=${this.#release}>
      ${length >= 1 ? nothing : html`<div class=${this.#grip === undefined ? 'thumb' : 'thumb dragged'} .style=${style}></div>`}
      ${marks.map(mark => html`<div class="hit" .style=${mark}></div>`)}
    </div>`;
  }

  readonly #take = (event: PointerEvent): void => {
    const track = event.currentTarget as HTMLElement;
    const { start, length } = this.#options.thumb();
    if (length >= 1) return;
    const at = placeOn(track, event);
    const isOnThumb = at >= start && at <= start + length;
    this.#grip = isOnThumb ? at - start : length / 2;
    track.setPointerCapture(event.pointerId);
    if (!isOnThumb) this.#pull(event);
  };

  readonly #pull = (event: PointerEvent): void => {
    if (this.#grip === undefined) return;
    this.#options.onPulled(placeOn(event.currentTarget as HTMLElement, event) - this.#grip);
  };

  readonly #release = (): void => {
    this.#grip = undefined;
    this.#options.onReleased();
  };
}

/** From 0 at its top to 1 at its end. */
function placeOn(track: HTMLElement, { clientY }: PointerEvent): number {
  const { top, height } = track.getBoundingClientRect();
  return (clientY - top) / height;
}
