module.exports = function (config) {
  config.addPassthroughCopy("style.css");
  config.addPassthroughCopy("late.js");
  return { pathPrefix: "/news/" };
};
