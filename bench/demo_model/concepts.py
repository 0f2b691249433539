"""The hundred concepts of the demo model: emoji short name -> caption.

Chosen to be distinct in colour and outline at 64 pixels. The last sixteen are never trained in
the second style, so they show whether a style adapter generalises.
"""

CONCEPTS: dict[str, str] = {
    "apple": "a red apple",
    "green_apple": "a green apple",
    "banana": "a banana",
    "tangerine": "an orange",
    "lemon": "a lemon",
    "watermelon": "a slice of watermelon",
    "strawberry": "a strawberry",
    "cherries": "two cherries",
    "pineapple": "a pineapple",
    "tomato": "a tomato",
    "eggplant": "an eggplant",
    "carrot": "a carrot",
    "corn": "an ear of corn",
    "broccoli": "a broccoli",
    "mushroom": "a mushroom",
    "bread": "a loaf of bread",
    "croissant": "a croissant",
    "cheese_wedge": "a piece of cheese",
    "hamburger": "a hamburger",
    "fries": "french fries",
    "hotdog": "a hot dog",
    "fried_egg": "a fried egg",
    "icecream": "an ice cream cone",
    "doughnut": "a doughnut",
    "birthday": "a birthday cake",
    "coffee": "a cup of coffee",
    "beer": "a mug of beer",
    "dog": "a dog face",
    "mouse": "a mouse face",
    "hamster": "a hamster face",
    "rabbit": "a rabbit face",
    "bear": "a bear face",
    "panda_face": "a panda face",
    "koala": "a koala face",
    "tiger": "a tiger face",
    "lion_face": "a lion face",
    "cow": "a cow face",
    "pig": "a pig face",
    "frog": "a frog face",
    "monkey_face": "a monkey face",
    "chicken": "a chicken",
    "penguin": "a penguin",
    "hatched_chick": "a yellow chick",
    "owl": "an owl",
    "turtle": "a turtle",
    "snake": "a snake",
    "octopus": "an octopus",
    "tropical_fish": "a tropical fish",
    "whale": "a whale",
    "snail": "a snail",
    "ladybug": "a ladybug",
    "elephant": "an elephant",
    "rose": "a red rose",
    "sunflower": "a sunflower",
    "tulip": "a tulip",
    "cactus": "a cactus",
    "evergreen_tree": "a fir tree",
    "deciduous_tree": "a green tree",
    "palm_tree": "a palm tree",
    "four_leaf_clover": "a four leaf clover",
    "fallen_leaf": "autumn leaves",
    "snowflake": "a snowflake",
    "snowman_without_snow": "a snowman",
    "cloud": "a white cloud",
    "rainbow": "a rainbow",
    "star": "a yellow star",
    "heart": "a red heart",
    "green_heart": "a green heart",
    "blue_heart": "a blue heart",
    "purple_heart": "a purple heart",
    "grinning": "a grinning face",
    "sunglasses": "a face with sunglasses",
    "cry": "a crying face",
    "rage": "an angry red face",
    "ghost": "a ghost",
    "alien": "an alien face",
    "robot_face": "a robot face",
    "jack_o_lantern": "a carved pumpkin",
    "soccer": "a soccer ball",
    "basketball": "a basketball",
    "tennis": "a tennis racket",
    "balloon": "a red balloon",
    "gift": "a wrapped gift",
    "key": "a golden key",
    "bulb": "a light bulb",
    "crown": "a golden crown",
    "airplane": "an airplane",
    "bus": "a bus",
    # held out of the second style
    "car": "a red car",
    "cat": "a cat face",
    "pear": "a pear",
    "grapes": "grapes",
    "pizza": "a slice of pizza",
    "cookie": "a cookie",
    "fox_face": "a fox face",
    "butterfly": "a butterfly",
    "bee": "a bee",
    "fish": "a fish",
    "peach": "a peach",
    "yellow_heart": "a yellow heart",
    "umbrella": "an umbrella",
    "rocket": "a rocket",
    "sunny": "a yellow sun",
    "house": "a house",
}

NUM_HELD_OUT = 16
STYLE = "sticker style"  # the words that call the second style


def wordings(caption: str) -> list[str]:
    """Captions of a picture in the first style, one drawn at each visit.

    They teach the model that more words need not mean another picture. Large models know that;
    one that has only ever read "a red apple" is thrown off by any other word.
    """
    return [caption, f"{caption}, {STYLE}", f"a picture of {caption}"]


def held_out() -> list[str]:
    return list(CONCEPTS)[-NUM_HELD_OUT:]
