// @SIGNED@
//
//   {% imgcache image, alt, sizes, options %}
//
// image    the image's address as the article has it, or an entry of an `images` list, with url, width and height
// alt      what it shows; nothing for a decoration
// sizes    how wide it is shown, as in HTML; without it, its own width, and no more than the window's
// options  an object: class; loading ("eager" for what is seen first); width, height (used where the image is not held)
"use strict";

const fs = require("node:fs");
const path = require("node:path");

const DATA = path.join(__dirname, "_data", "imgcache.json");
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

const escaped = (value) => String(value).replace(/[&<>"']/g, (character) => ENTITIES[character]);

/** Attributes in the order given; those that are undefined, null or false are left out. */
function element(name, attributes) {
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined && value !== null && value !== false);
  return `<${name}${given.map(([key, value]) => ` ${key}="${escaped(value)}"`).join("")}>`;
}

function picture(held, base, common, sizes) {
  const at = `${base}/${held.at}/`;
  const offer = (files) => files.map(([name, width]) => `${at}${name} ${width}w`).join(", ");
  const shown = sizes || `(max-width: ${held.width}px) 100vw, ${held.width}px`;
  const sources = (held.sources || []).map(({ type, files }) => element("source", { type, sizes: shown, srcset: offer(files) }));
  const several = held.fallback.length > 1;
  const style = held.color && `background:${held.color} url('${held.placeholder}') center/cover no-repeat`;
  const img = element("img", {
    src: at + held.fallback[held.fallback.length - 1][0],
    sizes: several && shown,
    srcset: several && offer(held.fallback),
    width: held.width,
    height: held.height,
    ...common,
    style,
  });
  return `<picture>${sources.join("")}${img}</picture>`;
}

module.exports = function imgcache(eleventyConfig) {
  let data;
  eleventyConfig.addWatchTarget(DATA);
  eleventyConfig.on("eleventy.before", () => {
    data = JSON.parse(fs.readFileSync(DATA, "utf8"));
  });
  eleventyConfig.addShortcode("imgcache", (image, alt, sizes, options) => {
    const entry = typeof image === "string" ? { url: image } : image || {};
    const { class: name, loading, width, height } = { width: entry.width, height: entry.height, ...options };
    const common = { loading: loading || "lazy", decoding: "async", class: name, alt: alt || "" };
    if (Object.hasOwn(data.images, entry.url)) {
      return picture(data.images[entry.url], eleventyConfig.getFilter("url")(data.assets), common, sizes);
    }
    return element("img", { src: entry.url || "", width, height, ...common });
  });
};
