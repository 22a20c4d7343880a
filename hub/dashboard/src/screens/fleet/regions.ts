// How the map is laid out: groups, in them regions, in them clusters by name. A cluster keeps its place whatever it does.

import type { Cell } from "../../api/live";

export interface Region {
  name: string;
  cells: Cell[];
}

export interface Group {
  name: string;
  regions: Region[];
  total: number;
  /** How many are in which state. */
  counts: Map<string, number>;
}

const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);

export function layOut(cells: Iterable<Cell>): Group[] {
  const groups = new Map<string, Map<string, Cell[]>>();
  for (const cell of cells) {
    const regions = at(groups, cell.group ?? "", () => new Map<string, Cell[]>());
    at(regions, cell.region ?? "", () => []).push(cell);
  }
  return [...groups]
    .map(([name, regions]) => {
      const counts = new Map<string, number>();
      for (const cell of [...regions.values()].flat()) counts.set(cell.state, (counts.get(cell.state) ?? 0) + 1);
      return {
        name,
        counts,
        total: [...counts.values()].reduce((a, b) => a + b, 0),
        regions: [...regions].map(([region, members]) => ({ name: region, cells: members.sort(byName) })).sort(byName),
      };
    })
    .sort((a, b) => (a.name === "" ? 1 : b.name === "" ? -1 : byName(a, b)));
}

function at<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
