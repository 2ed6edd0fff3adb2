// sharp as a contender of bench_pictures: a job's file in, files out, as sharp's documentation shows it.
import { readFileSync } from "node:fs";
import sharp from "sharp";

const job = JSON.parse(readFileSync(process.argv[2], "utf8"));
sharp.concurrency(1); // one thread a picture, as many pictures as cores

async function worker(waiting) {
  for (const picture of waiting) {
    for (const width of picture.widths) {
      const image = sharp(picture.path).autoOrient().resize({ width, withoutEnlargement: true });
      await image.webp({ quality: job.quality, effort: job.effort }).toFile(`${picture.folder}/w${width}.webp`);
    }
  }
}

const start = performance.now();
const waiting = job.pictures.values(); // one iterator, which the workers share
await Promise.all(Array.from({ length: job.workers }, () => worker(waiting)));
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000 }));
