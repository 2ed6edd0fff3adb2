export default {
  title: "Tides",
  base: "/news/",
  head: [["script", { src: "/news/late.js" }], ["link", { rel: "icon", href: "data:," }]],
  sitemap: { hostname: "https://site.example/news/" },
  transformHead({ pageData }) {
    const { image } = pageData.frontmatter;
    return image ? [["meta", { property: "og:image", content: image }]] : [];
  },
};
