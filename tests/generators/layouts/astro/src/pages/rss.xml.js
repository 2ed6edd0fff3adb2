import rss from "@astrojs/rss";

export async function GET(context) {
  const pages = Object.values(import.meta.glob("./**/*.md", { eager: true }));
  const items = pages.map(async (page) => ({
    title: page.frontmatter.title,
    link: page.url ?? "/",
    content: await page.compiledContent(),
  }));
  return rss({ title: "Tides", description: "Tides", site: context.site, items: await Promise.all(items) });
}
