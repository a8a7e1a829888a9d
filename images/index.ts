/** Every image this folder describes, by name. */
import type { Image } from "@terrarium/machine";
import debian, { recipe as debianRecipe } from "./debian/image.js";
import debianCloud, { recipe as debianCloudRecipe } from "./debian-cloud/image.js";
import debianI386, { recipe as debianI386Recipe } from "./debian-i386/image.js";
import debianTools, { recipe as debianToolsRecipe } from "./debian-tools/image.js";
import debianXen, { recipe as debianXenRecipe } from "./debian-xen/image.js";
import type { Recipe } from "./recipe.js";

export { agentFile } from "./recipe.js";
export type { Architecture, Recipe } from "./recipe.js";

export const recipes: readonly Recipe[] = [
  debianCloudRecipe,
  debianRecipe,
  debianI386Recipe,
  debianXenRecipe,
  debianToolsRecipe,
];

export const images: readonly Image[] = [debianCloud, debian, debianI386, debianXen, debianTools];
