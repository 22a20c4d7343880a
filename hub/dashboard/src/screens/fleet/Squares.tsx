import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Cell } from "../../api/live";
import { go } from "../../location";
import { themeVersion } from "../../theme";
import { count, flagOf, plural, states, wordOf } from "../../words";
import { drawFlag, palette } from "./draw";

export interface Pointed {
  cell: Cell;
  x: number;
  y: number;
}

interface Props {
  cells: Cell[];
  /** Counts changes of the cells. */
  version: number;
  small: boolean;
  /** How wide it may be, in pixels. */
  room: number;
  label: string;
  point: (at: Pointed | undefined) => void;
}

/** How a region is laid out: columns of so many, or of more where it would be too wide, squares of so many pixels on a grid of so many more. */
const layouts = { large: { rows: 12, side: 9, gap: 2 }, small: { rows: 24, side: 4, gap: 1 } };

/**
 * Squares draws a region's clusters on one canvas: a node for each would be too many. A screen reader hears how many are in which state, and as keys move, each
 * by name and state: the one that is pointed at is the only one in the document.
 */
export function Squares({ cells, version, small, room, label, point }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [at, setAt] = useState<number | undefined>();
  const chosen = at === undefined ? undefined : cells[at];
  const id = useId();
  const { rows: few, side, gap } = small ? layouts.small : layouts.large;
  const pitch = side + gap;
  const rows = Math.max(few, Math.ceil(cells.length / Math.max(1, Math.floor((room - gap) / pitch))));
  const width = Math.ceil(cells.length / rows) * pitch + gap;
  const height = Math.min(cells.length, rows) * pitch + gap;
  const theme = themeVersion.value;
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const dots = devicePixelRatio || 1;
    element.width = width * dots;
    element.height = height * dots;
    context.scale(dots, dots);
    const colours = palette(element);
    cells.forEach((cell, i) => drawFlag(context, colours, flagOf(cell.state), Math.floor(i / rows) * pitch + gap, (i % rows) * pitch + gap, side));
    if (at !== undefined) {
      context.strokeStyle = colours.ink;
      context.lineWidth = 2;
      context.strokeRect(Math.floor(at / rows) * pitch + gap, (at % rows) * pitch + gap, side, side);
    }
  }, [cells, version, width, height, theme, at, side, rows]);
  const move = (i: number | undefined) => {
    const cell = i === undefined ? undefined : cells[i];
    setAt(cell ? i : undefined);
    const box = canvas.current?.getBoundingClientRect();
    if (!cell || !box || i === undefined) return point(undefined);
    point({ cell, x: Math.min(box.left + (Math.floor(i / rows) + 1) * pitch + 8, innerWidth - 220), y: Math.min(box.top + ((i % rows) + 1) * pitch + 8, innerHeight - 120) });
  };
  const hover = (e: PointerEvent) => {
    const row = Math.floor((e.offsetY - gap) / pitch);
    move(row < 0 || row >= rows ? undefined : Math.floor((e.offsetX - gap) / pitch) * rows + row);
  };
  const keys = (e: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1, ArrowRight: rows, ArrowLeft: -rows, Home: -cells.length, End: cells.length }[e.key];
    if (step) {
      e.preventDefault();
      move(at === undefined && e.key !== "End" ? 0 : Math.max(0, Math.min(cells.length - 1, (at ?? 0) + step)));
    }
    if (e.key === "Enter") open();
  };
  const open = () => {
    if (chosen) go(`/clusters/${chosen.name}`);
  };
  return (
    <canvas
      ref={canvas}
      style={{ width: `${width}px`, height: `${height}px` }}
      tabIndex={0}
      role="listbox"
      aria-label={`${label}: ${told(cells)}; arrow keys move, Enter opens`}
      aria-activedescendant={chosen && id}
      onPointerMove={hover}
      onPointerLeave={() => move(undefined)}
      onBlur={() => move(undefined)}
      onKeyDown={keys}
      onClick={open}
    >
      {chosen && (
        <span id={id} role="option" aria-selected="true" aria-posinset={(at ?? 0) + 1} aria-setsize={cells.length}>
          {`${chosen.name}, ${wordOf(chosen.state)}`}
        </span>
      )}
    </canvas>
  );
}

/** told is what a region's squares say together: "334 clusters, 3 degraded, 1 stale". */
function told(cells: Cell[]): string {
  const counts = new Map<string, number>();
  for (const { state } of cells) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [plural(cells.length, "cluster"), ...states.filter((s) => counts.has(s)).map((s) => `${count(counts.get(s))} ${wordOf(s)}`)].join(", ");
}
