import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { go, setParam } from "../location";

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
  href: (row: R) => string;
  order: string;
  /** Asks for more rows; called when the last one is near. */
  more?: () => void;
}

/** Rows beyond the window that are there all the same, so that scrolling shows no gap. */
const spare = 10;

/** Rows is a table of which only what is in the window exists. Each row is one line high, which the style sheet keeps. */
export function Rows<R>({ label, columns, rows, name, href, order, more }: Props<R>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const [window_, setWindow] = useState({ from: 0, to: 60 });
  const [chosen, choose] = useState("");
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
  // Before the next key can come: an effect after the paint would let "j" and a quick Enter open nothing.
  useLayoutEffect(() => {
    const key = (e: KeyboardEvent) => {
      if (e.target instanceof HTMLInputElement || e.target instanceof HTMLTextAreaElement || e.ctrlKey || e.metaKey) return;
      const at = rows.findIndex((r) => name(r) === chosen);
      const next = rows[e.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0)];
      if ((e.key === "j" || e.key === "k") && next !== undefined) choose(name(next));
      if (e.key === "Enter" && at >= 0 && !(e.target instanceof HTMLAnchorElement || e.target instanceof HTMLButtonElement)) go(href(rows[at]!));
    };
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [rows, chosen]);
  useEffect(() => body.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" }), [chosen]);
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
            <tr key={name(row)} aria-rowindex={from + i + 1} aria-selected={name(row) === chosen}>
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
