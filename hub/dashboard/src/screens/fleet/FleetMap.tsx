import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { cells, cellsVersion, connection } from "../../api/live";
import { param } from "../../location";
import { NoCluster } from "../../parts/Note";
import { Flag } from "../../parts/Flag";
import { count, plural, states, wordOf } from "../../words";
import { Cards } from "./Cards";
import { layOut } from "./regions";
import { Squares, type Pointed } from "./Squares";

/** Up to so many clusters have their name beside them; up to so many, a square that is large enough for its flag. */
const named = 60;
const squared = 2000;

/** FleetMap draws every cluster once. */
export function FleetMap() {
  const version = cellsVersion.value;
  const groups = useMemo(() => layOut(cells.values()), [version]);
  const [pointed, point] = useState<Pointed | undefined>();
  const n = cells.size;
  const map = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(Infinity);
  useLayoutEffect(() => {
    const measure = () => map.current && setRoom(map.current.clientWidth);
    measure();
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, [n > 0]);
  if (n === 0) {
    if (version === 0 || connection.value.state !== "live") return null;
    return <NoCluster filter={param("filter")} />;
  }
  const cards = n <= named;
  return (
    <>
      <div class="hoists" ref={map}>
        {groups.map((g) => (
          <section key={g.name} class="hoist" aria-label={g.name || "no group"}>
            <p>
              <b class={g.name ? "" : "dim"}>{g.name || "no group"}</b>
              <span class="dim">{count(g.total)}</span>
              {states.slice(1).map(
                (s) =>
                  g.counts.has(s) && (
                    <span key={s} class="st" title={`${count(g.counts.get(s))} ${wordOf(s)}`}>
                      <Flag state={s} />
                      {count(g.counts.get(s))} <span class="sr">{wordOf(s)}</span>
                    </span>
                  ),
              )}
            </p>
            <div class="parts">
              {g.regions.map((r) => (
                <figure key={r.name}>
                  <figcaption title={`${r.name || "region unknown"}, ${plural(r.cells.length, "cluster")}`}>{r.name || "\u00a0"}</figcaption>
                  {cards ? (
                    <Cards cells={r.cells} />
                  ) : (
                    <Squares cells={r.cells} version={version} small={n > squared} room={room} label={`${g.name || "no group"} ${r.name}`.trim()} point={point} />
                  )}
                </figure>
              ))}
            </div>
          </section>
        ))}
      </div>
      <p class="hides">
        <b>One square is one cluster,</b> in order of name, so it keeps its place. Clusters in several groups are drawn once, in the smallest.
        {cards ? "" : ` Names show below ${named + 1} clusters; arrow keys move, Enter opens.`}
        {n > squared ? " Flags are too small to tell here but by colour: the counts of each group say the same, and so does the table." : ""}
      </p>
      {pointed && (
        <div class="tip" aria-hidden="true" style={{ left: `${pointed.x}px`, top: `${pointed.y}px` }}>
          <b>{pointed.cell.name}</b>
          <span class="st">
            <Flag state={pointed.cell.state} />
            {wordOf(pointed.cell.state)}
          </span>
          <span class="dim">{[pointed.cell.group, pointed.cell.region].filter(Boolean).join(" / ")}</span>
        </div>
      )}
    </>
  );
}
