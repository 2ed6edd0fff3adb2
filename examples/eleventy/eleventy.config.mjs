import imgcache from "./imgcache.shortcode.cjs";

export default function (eleventyConfig) {
  eleventyConfig.addPlugin(imgcache);
  eleventyConfig.addPassthroughCopy("assets");
  eleventyConfig.ignores.add("cache");
}

export const config = { pathPrefix: "/news/" };
