// Started by bench_whole.py: every URL through eleventy-img, as its documentation shows it, and one line of JSON at the end.
import Image from "@11ty/eleventy-img";

const job = JSON.parse(process.argv[2]);
if (job.concurrency) Image.concurrency = job.concurrency;
const results = await Promise.allSettled(job.urls.map((url) => Image(url, {
  widths: job.widths,
  formats: ["webp"],
  outputDir: `${job.folder}/img/`,
  minimumThreshold: job.threshold,
  sharpWebpOptions: { quality: 80, effort: 4 },
  cacheOptions: { directory: `${job.folder}/cache`, duration: "1d" },
})));
for (const result of results) if (result.status === "rejected") console.error(String(result.reason));
console.log(JSON.stringify({ images: results.filter((result) => result.status === "fulfilled").length }));
