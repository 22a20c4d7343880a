import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { ours } from "../frame/keys";
import { setParam } from "../location";

export interface Column<R> {
  title: string;
  /** What the list is ordered by when its heading is pressed. */
  order?: string;
  className?: string;
  cell: (row: R) => ComponentChildren;
}

interface Props<R> {
  label: string;
  columns: Column<R>[];
  rows: R[];
  name: (row: R) => string;
  order: string;
  /** Asks for more rows; called when the last one is near. */
  more?: () => void;
}

/** Rows beyond the window that are there all the same, so that scrolling shows no gap. */
const spare = 10;

/** Rows is a table of which only what is in the window exists. Each row is one line high, which the style sheet keeps. */
export function Rows<R>({ label, columns, rows, name, order, more }: Props<R>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const [window_, setWindow] = useState({ from: 0, to: 60 });
  useLayoutEffect(() => {
    const look = () => {
      const element = body.current;
      if (!element) return;
      const height = element.querySelector("tr:not([aria-hidden])")?.getBoundingClientRect().height || 28;
      const top = -element.getBoundingClientRect().top;
      const from = Math.max(0, Math.floor(top / height) - spare);
      const to = Math.ceil((top + innerHeight) / height) + spare;
      setWindow((was) => (was.from === from && was.to === to ? was : { from, to }));
      if (to >= rows.length) more?.();
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [rows.length, more]);
  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      const by = { j: 1, k: -1 }[e.key];
      if (!by || !ours(e)) return;
      const all = [...(body.current?.querySelectorAll("tr:not([aria-hidden])") ?? [])];
      const at = all.findIndex((row) => row.contains(document.activeElement));
      const next = at < 0 ? all.find((row) => row.getBoundingClientRect().top >= 0) : all[at + by];
      next?.querySelector("a")?.focus();
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, []);
  const from = Math.min(window_.from, rows.length);
  const shown = rows.slice(from, window_.to);
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={label}>
      <table aria-rowcount={rows.length}>
        <thead>
          <tr>
            {columns.map((c) => (
              <th key={c.title} scope="col" class={c.className} aria-sort={c.order ? sorted(order, c.order) : undefined}>
                {c.order ? (
                  <button class="sort" onClick={() => setParam("order", order === c.order ? `${c.order} desc` : (c.order ?? ""))}>
                    {c.title}
                  </button>
                ) : (
                  c.title
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          <Spacer rows={from} />
          {shown.map((row, i) => (
            <tr key={name(row)} aria-rowindex={from + i + 1}>
              {columns.map((c) => (
                <td key={c.title} class={c.className}>
                  {c.cell(row)}
                </td>
              ))}
            </tr>
          ))}
          <Spacer rows={rows.length - from - shown.length} />
        </tbody>
      </table>
    </div>
  );
}

/** Spacer is as high as the rows that do not exist. */
const Spacer = ({ rows }: { rows: number }) => (rows > 0 ? <tr aria-hidden="true" class="spacer" style={{ "--rows": rows }} /> : null);

function sorted(order: string, by: string) {
  if (order === by) return "ascending" as const;
  return order === `${by} desc` ? ("descending" as const) : ("none" as const);
}
