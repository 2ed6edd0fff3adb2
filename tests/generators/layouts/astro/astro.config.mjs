export default { site: "https://site.example", base: "/news", outDir: "dist", devToolbar: { enabled: false } };
