// Natural Earth's land in, gtm/web/static/world.svg out: drawn once, so that no browser needs a projection.
//
//     npm install --no-save world-atlas@2.0.2 d3-geo@3.1.1 topojson-client@3.1.0
//     node tools/world_map.mjs > gtm/web/static/world.svg
//
// Land only: a map without borders takes no side. Natural Earth is in the public domain, world-atlas is ISC.
// The projection (Natural Earth I, scale 180, middle at 500,262) is the one of gtm/web/chart.py; if one of the two
// changes, so must the other. d3-geo cuts the shapes where they cross 180 degrees; by hand that draws stripes.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { geoNaturalEarth1, geoPath } from "d3-geo";
import { feature } from "topojson-client";

const require = createRequire(import.meta.url);
const world = JSON.parse(readFileSync(require.resolve("world-atlas/land-110m.json"), "utf8"));
const land = feature(world, world.objects.land);
const shapes = (land.features ?? [land]).flatMap((one) =>
  one.geometry.type === "MultiPolygon" ? one.geometry.coordinates : [one.geometry.coordinates],
);
// Nobody streams from Antarctica, and without it the rest is bigger.
const shown = shapes.filter((rings) => Math.max(...rings[0].map(([, lat]) => lat)) > -60);
const projection = geoNaturalEarth1().scale(180).translate([500, 262]);
const path = geoPath(projection).digits(1);
const drawn = path({ type: "MultiPolygon", coordinates: shown });
process.stderr.write(`${JSON.stringify(path.bounds({ type: "MultiPolygon", coordinates: shown }))}\n`);
for (const at of [[8.68, 50.11], [-74.01, 40.71], [103.82, 1.35], [151.2, -33.9], [-179.9, 65]])
  process.stderr.write(`${at} -> ${projection(at)}\n`);
process.stdout.write(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 460"><path id="land" d="${drawn}"/></svg>\n`,
);
