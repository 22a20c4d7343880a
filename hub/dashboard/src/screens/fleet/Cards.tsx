import type { Cell } from "../../api/live";
import { Flag } from "../../parts/Flag";
import { wordOf } from "../../words";

/** Cards are clusters with their names, where there are few. */
export const Cards = ({ cells }: { cells: Cell[] }) => (
  <ul class="cards">
    {cells.map((c) => (
      <li key={c.name}>
        <a href={`/clusters/${c.name}`} title={`${c.name}: ${wordOf(c.state)}`}>
          <Flag state={c.state} />
          <span class="m cut">{c.name}</span>
          <span class="dim">{c.state === "Ready" ? "" : wordOf(c.state)}</span>
        </a>
      </li>
    ))}
  </ul>
);
